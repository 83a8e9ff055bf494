"""Writing a folder or a file so that it is there whole, or not at all.

Everything is written beside its place under a hidden name, brought to the disk with fsync, and
renamed; a folder that is replaced changes its name with the new one in one step where the system
can. A kill at any line leaves either nothing or the old state under the final name, and beside it
what the next run there removes (`files/unfinished.py`); Ctrl-C, a full disk or any other error
removes what was begun as well.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from superpose.errors import BadInput, OutputExists
from superpose.files.alive import hold, let_go
from superpose.files.exchange import exchanged
from superpose.files.unfinished import begun_beside, beside, put_in_order, removed


@contextmanager
def new_folder(
    target: str | Path, *, force: bool = False, replaceable: Collection[str] = ()
) -> Iterator[Path]:
    """Give an empty folder to write into that becomes `target` when the block ends without error.

    force: replace a folder that stands there already, but only if it holds nothing but files named
    in `replaceable`: `--force` aimed at a home directory by mistake must not empty it.

    Raises OutputExists before anything is written, and BadInput when the system refuses to write
    (no space, no permission).
    """
    final = Path(os.path.realpath(target))
    check_free(final, force=force, replaceable=replaceable)
    with _errors_of(target), _parents_of(final), begun_beside(final, folder=True) as part:
        yield part
        for written in part.iterdir():
            _sync(written)
        _sync(part)
        _put(part, final, force)
        _sync(final.parent)


@contextmanager
def new_file(target: str | Path) -> Iterator[Path]:
    """Give a path to write to that becomes `target`, replacing it, when the block ends well.

    Raises BadInput when the system refuses to write, and for a device or a pipe: it would be gone.
    """
    final = Path(os.path.realpath(target))
    if final.exists() and not (final.is_file() or final.is_dir()):
        raise BadInput("is a pipe, a device or a socket: no file to be replaced", where=target)
    with _errors_of(target), _parents_of(final), begun_beside(final, folder=False) as part:
        yield part
        _sync(part)
        part.replace(final)
        _sync(final.parent)


def check_free(
    target: str | Path, *, force: bool = False, replaceable: Collection[str] = ()
) -> None:
    """Raise OutputExists when something stands at `target` that may not be replaced.

    For callers that compute for a while before they write: ask first, not after the work. What a
    killed run left there is put in order before.
    """
    path = Path(target)
    put_in_order(Path(os.path.realpath(target)).parent, Path(os.path.realpath(target)))
    if not os.path.lexists(path):
        return
    if not force:
        raise OutputExists(
            "already exists; nothing was written",
            where=target,
            hint="Give another output folder, or --force (in Python: force=True) to replace it.",
        )
    if not path.is_dir():
        raise OutputExists("is not a folder; nothing was written", where=target)
    with _errors_of(target):
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in replaceable)
    if others:
        raise OutputExists(
            f"holds other things than an adapter ({', '.join(others[:5])}); nothing was written",
            where=target,
            hint="Replacing it would delete them: give another output folder.",
        )


def check_free_file(target: str | Path, *, force: bool = False) -> None:
    """Raise OutputExists when something stands at `target` that a file may not replace.

    force: a file there may be replaced; a folder never.
    """
    if not os.path.lexists(target):
        return
    if Path(target).is_dir():
        raise OutputExists("is a folder, not a file; nothing was written", where=target)
    if not force:
        raise OutputExists(
            "already exists; nothing was written",
            where=target,
            hint="Give another output, or --force (in Python: force=True) to replace it.",
        )


def check_writable(target: str | Path) -> None:
    """Raise BadInput when the system would refuse to write a file at `target`.

    For callers that compute for a while before they write. A file without a name is made, for a
    moment, in the nearest folder above that is there; nothing else tells for every system.
    """
    from tempfile import TemporaryFile  # seldom asked for, and it brings a great deal

    final = Path(os.path.realpath(target))
    with _errors_of(target):
        with suppress(FileNotFoundError):
            final.lstat()
        folder = next(parent for parent in final.parents if parent.exists())
        with TemporaryFile(dir=folder):
            pass


@contextmanager
def _errors_of(target: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror or error}", where=target) from error


@contextmanager
def _parents_of(final: Path) -> Iterator[None]:
    """Make the missing parent folders, and take them away again when the block fails."""
    missing = list(takewhile(lambda parent: not parent.exists(), final.parents))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:  # innermost first; one that others use by now is not empty
            try:
                parent.rmdir()
            except OSError:
                break
        raise


def _put(part: Path, final: Path, force: bool) -> None:
    """Rename `part` to `final`; a folder there is then where `part` was, or gone."""
    if not force or not final.exists():
        _rename_new(part, final)
    elif not exchanged(part, final):
        _in_two_steps(part, final)


def _in_two_steps(part: Path, final: Path) -> None:
    """Set the old folder aside first; it comes back on an error, and by the next run on a kill."""
    aside = beside(final, "old")
    handle = hold(final, wait=True)
    try:
        final.rename(aside)
        part.rename(final)
    except BaseException:
        if not final.exists():
            aside.rename(final)
        raise
    finally:
        let_go(handle)
    removed(aside)


def _rename_new(part: Path, final: Path) -> None:
    try:
        part.rename(final)
    except OSError as error:
        if not os.path.lexists(final):
            raise
        raise OutputExists("came into being meanwhile; nothing was written", where=final) from error


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
