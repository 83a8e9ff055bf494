"""Two names change what they stand for, in one step of the system."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["exchanged"]

_AT_THE_CURRENT_FOLDER = -100
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux's renameat2, and RENAME_SWAP of macOS's renamex_np."""

_UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a system or a filesystem says that has no such step, NFS for one."""


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two files or folders: at no moment does either name stand for nothing.

    Gives False, with nothing done, where the system cannot. Raises OSError as a rename does.
    """
    exchange = _of_the_system()
    if exchange is None:
        return False
    number = exchange(os.fsencode(one), os.fsencode(other))
    if number in _UNABLE:
        return False
    if number:
        raise OSError(number, os.strerror(number), str(one), None, str(other))
    return True


def _of_the_system() -> Callable[[bytes, bytes], int] | None:
    """Give the system's call as a function of two paths that gives the number of its error."""
    if sys.platform not in ("linux", "darwin"):
        return None
    import ctypes  # 5 ms that only the replacing of a folder pays

    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, "renameat2" if sys.platform == "linux" else "renamex_np", None)
    if call is None:  # a C library without it
        return None
    here = () if sys.platform == "darwin" else (ctypes.c_int(_AT_THE_CURRENT_FOLDER),)

    def exchange(one: bytes, other: bytes) -> int:
        paths = ctypes.c_char_p(one), ctypes.c_char_p(other)
        done = call(*here, paths[0], *here, paths[1], ctypes.c_uint(_EXCHANGE))
        return 0 if done == 0 else ctypes.get_errno()

    return exchange
