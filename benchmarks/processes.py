"""Measuring one work in a process of its own."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from competitors import Work


def measured(script: str, work: Work, **variables: str) -> Any:
    """Return what the script measures on this work, with these environment variables besides."""
    arguments = [str(value) for value in dataclasses.astuple(work)[:4]]
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=os.environ | variables,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def main(measure: Callable[[Work], Any]) -> None:
    """Print what the function measures on the work that the command line describes."""
    parser = argparse.ArgumentParser()
    for name, kind in {"activation": str, "precision": str, "dimension": int, "count": int}.items():
        parser.add_argument(name, type=kind)
    print(json.dumps(measure(Work(**vars(parser.parse_args())))))
