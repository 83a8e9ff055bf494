"""What is being written beside its place, and what was left there by a run that was killed.

It is called `.NAME.superpose-HOSTxxxxxxxx.part`, and locked for as long as its writer lives: the
next run that writes into the same folder removes what nobody holds, whatever it was to become. What
stood at a name before, set aside for the moment of a replacement (`.old`), goes back there where
nothing else does.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from superpose.errors import SuperposeWarning, listed
from superpose.files.alive import hold, let_go

__all__ = ["begun_beside", "beside", "put_in_order", "put_in_order_below", "removed"]

_NAME = re.compile(
    r"\.(?P<name>.+)\.superpose-(?P<host>[0-9a-f]{4})[0-9a-f]{8}\.(?P<kind>part|old)", re.S
)

_LONGEST = 100
"""Bytes of a name that are kept: a name may take 255 in all."""

_A_DAY = 86_400.0
"""Seconds without a change, after which another machine's writer is taken for dead: its lock need
not be seen here."""


@contextmanager
def begun_beside(final: Path, *, folder: bool) -> Iterator[Path]:
    """Give an empty file or folder beside `final`, ours until the block ends, and gone then.

    What killed runs left in that folder is put in order first, as `put_in_order` does. Raises
    OSError.
    """
    put_in_order(final.parent, final)
    part, handle = _made(final, folder)
    try:
        yield part
    finally:
        # After the rename nothing stands here any more; before it, this is what was begun.
        removed(part)
        let_go(handle)


def beside(final: Path, kind: str) -> Path:
    """Give a name beside `final` that nothing has. kind: "part" or "old"."""
    return final.parent / f".{_cut(final.name)}.superpose-{_host()}{os.urandom(4).hex()}.{kind}"


def put_in_order(folder: Path, final: Path | None = None) -> None:
    """Remove what killed runs left in a folder, or put it back, and tell so by a SuperposeWarning.

    final: a name there that is about to be written. What is not ours to remove stays.
    """
    gone: list[str] = []
    try:
        with os.scandir(folder) as entries:
            ours = [(e.name, m) for e in entries if (m := _NAME.fullmatch(e.name))]
    except OSError:
        return  # not there, or not ours to look into: whoever writes there will say so
    for name, match in ours:
        place = _place(folder, match["name"], final)
        with suppress(OSError):
            gone += _ended(folder / name, match, place)
    if gone:
        warnings.warn(
            f"removed what a run that was ended left in {folder}: {listed(gone, 3, '{}')}",
            SuperposeWarning,
            stacklevel=2,
        )


def put_in_order_below(folder: Path) -> None:
    """Do so in a folder and in all below it, where work with many files goes on."""
    for place, below, _ in os.walk(folder):
        below[:] = [name for name in below if not _NAME.fullmatch(name)]
        put_in_order(Path(place))


def removed(path: Path) -> None:
    """Remove a file or a folder; what cannot be stays for the next run."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _made(final: Path, folder: bool) -> tuple[Path, int | None]:
    """Make the part and hold it. One who tidies up may take it away before it is held."""
    while True:
        part = beside(final, "part")
        if folder:
            part.mkdir()
        else:
            part.touch(exist_ok=False)
        try:
            handle = hold(part, wait=True)
        except FileNotFoundError:
            continue
        if handle is None or part.exists():
            return part, handle
        let_go(handle)


def _ended(path: Path, match: re.Match[str], final: Path | None) -> list[str]:
    """Remove or put back what nobody holds; gives what was removed, with its size."""
    if match["host"] != _host() and time.time() - _changed(path) < _A_DAY:
        return []
    handle = hold(path)  # raises where its writer lives
    try:
        if handle is None and time.time() - _changed(path) < _A_DAY:
            return []
        if match["kind"] == "part":
            return _gone(path)
        if final is None:
            return []  # what it was called is not known
        if os.path.lexists(final):
            return _gone(path)
        path.rename(final)
        warnings.warn(
            f"{final} stands as it was before a run that was ended while it replaced it",
            SuperposeWarning,
            stacklevel=4,
        )
        return []
    finally:
        let_go(handle)


def _gone(path: Path) -> list[str]:
    size = sum(file.stat().st_size for file in _files(path))
    removed(path)
    return [] if os.path.lexists(path) else [f"{path.name} ({size / 1e6:,.1f} MB)"]


def _changed(path: Path) -> float:
    """When something in it was last written, in seconds since 1970."""
    return max(entry.stat().st_mtime for entry in (path, *_files(path)))


def _files(path: Path) -> list[Path]:
    return [file for file in (path, *path.rglob("*")) if file.is_file() and not file.is_symlink()]


def _place(folder: Path, name: str, final: Path | None) -> Path | None:
    """Where that stood: a name that was cut is known by who writes there alone."""
    if final is not None and name == _cut(final.name):
        return final
    return folder / name if len(os.fsencode(name)) < _LONGEST - 3 else None


def _cut(name: str) -> str:
    # A character takes up to four bytes; none is cut in two.
    kept = os.fsencode(name)[:_LONGEST]
    return kept.decode("utf-8", "ignore") if len(kept) == _LONGEST else name


@lru_cache(maxsize=1)
def _host() -> str:
    from socket import gethostname  # which only writing pays for

    return f"{zlib.crc32(os.fsencode(gethostname())):08x}"[:4]
