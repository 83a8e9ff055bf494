"""Locks that the system lets go of when their holder dies, on this machine or another."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput, missing_extra

__all__ = ["locked_file"]

_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def locked_file(path: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a file for the block; gives whether it is ours, or another's.

    patience: seconds to wait for it. Raises BadInput where the folder's filesystem has no locks, or
    it is not ours to write to.
    """
    try:
        import filelock
    except ImportError as error:
        raise missing_extra(error.name, "work that is shared among processes") from None
    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=patience, poll_interval=0.05)
    except filelock.Timeout:
        yield False
        return
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in _NOT_OURS:
            raise BadInput(
                f"cannot be written to: {error.strerror}",
                where=path.parent,
                hint="Who works here writes into it: take a folder that is yours, or a copy.",
            ) from error
        raise BadInput(
            f"the filesystem gives no lock here: {error}",
            where=path.parent,
            hint="Give a folder on a filesystem that has locks for all machines, such as NFS 4, "
            "or Lustre mounted with flock.",
        ) from error
    try:
        yield True
    finally:
        lock.release()
