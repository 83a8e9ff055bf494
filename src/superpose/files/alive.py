"""Whether the writer of a file still lives: a lock that the system lets go of when its holder dies.

What is locked is the file itself, so that the lock goes where the file is renamed to, and nothing
is left when it is removed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["hold", "let_go"]

_BUSY = {errno.EAGAIN, errno.EACCES}


def hold(path: Path, *, wait: bool = False) -> int | None:
    """Lock a file or folder, and give the handle for `let_go`.

    wait: until whoever holds it lets go or dies. None where the system has no such locks: Windows,
    and filesystems mounted without. Raises BlockingIOError where another holds it, and OSError
    where it cannot be opened; a link is not followed.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        os.close(handle)
        if error.errno in _BUSY:
            raise BlockingIOError(error.errno, os.strerror(error.errno), str(path)) from None
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def let_go(handle: int | None) -> None:
    """Let go of what `hold` gave."""
    if handle is not None:
        os.close(handle)
