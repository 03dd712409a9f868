"""One writer a results file."""

import contextlib
import pathlib

import filelock

from wgflow.errors import FileError


class Lock:
    """The right to write a results file, held until it is released or this process ends.

    It is a lock of the system on a hidden file beside it, so that one that was left by a process
    that was killed bars nobody. The results file itself is not locked: readers may always open it.

    Raises
    ------
    FileError
        Another process, or another run of this one, writes the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._place = path.with_name(f".{path.name}.lock")
        self._lock = filelock.FileLock(self._place, is_singleton=False)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise FileError(
                f"The file '{path}' is being written by another run; wait for its end, or choose "
                "another name."
            ) from error
        except OSError as error:
            reason = str(error.strerror).lower()
            raise FileError(f"The file '{path}' cannot be written: {reason}.") from error

    def release(self) -> None:
        """Give the right back."""
        if self._lock.is_locked:
            # Who waits for this file sees that it has gone, and makes another.
            with contextlib.suppress(OSError):
                self._place.unlink(missing_ok=True)
            self._lock.release()
