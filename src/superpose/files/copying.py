"""Bytes from one file into another, inside the system where it can."""

from __future__ import annotations

import errno
import os

_BUFFER = 1 << 20

_UNABLE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY}
"""What the system says where it does not copy between these two files."""


def copy_bytes(source: int, target: int, begin: int, count: int) -> None:
    """Append `count` bytes of `source`, from `begin` on, to where `target` stands.

    source, target: descriptors of files.

    Raises OSError as the system does, EOFError when the source ends before.
    """
    while count > 0:
        copied = _in_the_system(source, target, begin, count)
        if copied is None:
            copied = _by_hand(source, target, begin, count)
        if copied == 0:
            raise EOFError
        begin, count = begin + copied, count - copied


def _in_the_system(source: int, target: int, begin: int, count: int) -> int | None:
    """Copy without the bytes passing through here; None where the system does not do that."""
    copy = getattr(os, "copy_file_range", None)
    if copy is None:
        return None
    try:
        return int(copy(source, target, count, begin))
    except OSError as error:
        if error.errno in _UNABLE:
            return None
        raise


def _by_hand(source: int, target: int, begin: int, count: int) -> int:
    os.lseek(source, begin, os.SEEK_SET)
    data = os.read(source, min(count, _BUFFER))
    write_all(target, memoryview(data))
    return len(data)


def write_all(target: int, data: memoryview) -> None:
    """Write all of `data`, bytes: one call may take a part of them."""
    while data:
        data = data[os.write(target, data) :]
