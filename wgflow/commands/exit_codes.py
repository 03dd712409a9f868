"""What the commands return to the shell."""

EXIT_STATUS = {"finished": 0, "not_converged": 1, "diverged": 1, "interrupted": 130}
FAILED = 1
