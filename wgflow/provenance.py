"""Which versions made a result."""

import functools
import importlib.metadata
import pathlib
import platform
import subprocess


@functools.cache
def versions() -> dict[str, str | None]:
    """Return the versions of Python, of the packages that shape a result, and of this project."""
    names = ("wgflow", "numpy", "scipy", "numba", "h5py")
    held: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            held[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            held[name] = None
    held["revision"] = _revision()
    return held


def _revision() -> str | None:
    """Return the git revision of the project's own checkout, or None outside one."""
    root = pathlib.Path(__file__).resolve().parent.parent
    if not (root / ".git").exists() or not (root / "setup.cfg").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
