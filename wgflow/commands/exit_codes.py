"""What the commands return to the shell."""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
EXIT_STATUS = {
    "finished": 0,
    "not_converged": FAILED,
    "diverged": FAILED,
    "interrupted": INTERRUPTED,
}
