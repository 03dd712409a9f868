"""What each command of `wgflow` does: a module a command, which prints and returns a code."""
