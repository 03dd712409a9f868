"""One module a case; `wgflow.case` says what such a module holds."""
