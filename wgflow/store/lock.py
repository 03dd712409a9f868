"""One writer a results file."""

import contextlib
import errno
import pathlib

import filelock

from wgflow.errors import FileError
from wgflow.store.paths import as_file_error

NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


class Lock:
    """The right to write a results file, held until it is released or this process ends.

    It is a lock of the system on a hidden file beside it, so that one that was left by a process
    that was killed bars nobody; on a disk without such locks it is that file itself. The results
    file is not locked: readers may always open it.

    Raises
    ------
    FileError
        Another process, or another run of this one, writes the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._place = path.with_name(f".{path.name}.lock")
        with as_file_error(f"The file '{path}' cannot be written"):
            try:
                self._lock = self._acquired(filelock.FileLock)
            except filelock.Timeout as error:
                if not self._place.exists():  # where no file can be made at all
                    raise FileError(
                        f"The file '{path}' cannot be written: no file can be made there."
                    ) from error
                raise FileError(
                    f"The file '{path}' is being written by another run; wait for its end, or "
                    "choose another name."
                ) from error
            except (OSError, NotImplementedError) as error:
                if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                    raise
                self._lock = self._soft(path)

    def _acquired(self, kind: type[filelock.BaseFileLock]) -> filelock.BaseFileLock:
        lock = kind(self._place, is_singleton=False)
        lock.acquire(timeout=0)
        return lock

    def _soft(self, path: pathlib.Path) -> filelock.BaseFileLock:
        """Return a lock that is a file, for disks that have no others."""
        if self._place.exists() and not self._place.stat().st_size:
            self._place.unlink()  # the empty one that was just made for the other kind
        try:
            return self._acquired(filelock.SoftFileLock)
        except filelock.Timeout as error:
            raise FileError(
                f"The file '{path}' is being written by another run, or one that was killed has "
                f"left its lock; if so, remove '{self._place}'."
            ) from error

    def release(self) -> None:
        """Give the right back."""
        if self._lock.is_locked:
            # Who waits for this file sees that it has gone, and makes another.
            with contextlib.suppress(OSError):
                self._place.unlink(missing_ok=True)
            self._lock.release()
