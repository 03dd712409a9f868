"""`python -m wgflow` is the command `wgflow`."""

import sys

from wgflow.cli import main

sys.exit(main())
