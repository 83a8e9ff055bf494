"""What the name of an adapter means: a folder here, or an adapter on the hub."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from superpose.errors import BadInput
from superpose.files.hub import fetch, hub_files, is_hub_name


def locate(given: str | os.PathLike[str]) -> Path:
    """Give the local folder that `given` means; whatever exists here wins over the hub.

    given: a path (`~` is the home folder), or a hub name: `org/name`, `org/name@revision`.

    Raises BadInput when there is no such folder, MissingExtra when it can only be a hub name and
    huggingface_hub is not installed.
    """
    text = os.fspath(given)
    if not text:
        raise BadInput("the name of an adapter is empty")
    path = Path(text).expanduser()
    if is_here(path):
        return path
    if exists(path, given):
        raise BadInput(
            "is a file; an adapter is a folder", where=given, hint=f"Give the folder: {path.parent}"
        )
    # `runs/math` with a folder `runs` here is a mistyped path, not somebody's repository.
    if isinstance(given, str) and is_hub_name(text) and not exists(Path(path.parts[0]), given):
        return fetch(text)
    raise BadInput("no such folder", where=given)


def is_here(given: str | os.PathLike[str]) -> bool:
    """Say whether `given` is a folder on this machine, and so no hub name."""
    return os.path.isdir(Path(given).expanduser())  # noqa: PTH112  False, not an error, for any


def exists(path: Path, given: object) -> bool:
    """Say whether anything stands at `path`; raises BadInput when the system does not tell.

    given: what the user called it. A folder may be closed to us, and a name too long for any.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=given) from error
    return True


def listing(given: str | os.PathLike[str], folder: Path) -> list[str]:
    """Give what lies at `given`, as sorted relative paths, to say what it is if no adapter.

    folder: what `locate` gave for it. Of a folder here, two levels; of a hub repository, of which
    only an adapter's files were fetched, all files, or those that were where the hub does not tell.
    """
    if not is_here(given):
        with suppress(BadInput):
            return hub_files(os.fspath(given))
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def short_name(given: str | os.PathLike[str]) -> str:
    """Give what people call an adapter that was given as `given`: the last part of it."""
    text = os.fspath(given).replace("\\", "/").rstrip("/")
    last = text.rpartition("/")[2]
    # `.` and `..` name nothing; the folder they stand for does.
    return last if last.strip(".") else Path(os.path.realpath(given)).name or "adapter"
