"""`python -m wgflow` is the command `wgflow`."""

import sys

from wgflow.cli import main

# Workers of a pool import the module that their parent runs, and must not run it themselves.
if __name__ == "__main__":
    sys.exit(main())
