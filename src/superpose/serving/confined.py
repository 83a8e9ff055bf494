"""Where an adapter lies that a request names: in what the operator allows, or nowhere.

A name is a place in one of the folders, `math` or `team/math`, or on the hub, `org/name` and what
else `files.hub_name` reads, of an owner that is allowed. Nothing of it is ever taken for a path of
the server's own: not what is absolute, leads upwards, is hidden, or is a link that leads out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadInput, Refused
from superpose.files.hub_name import HubName, is_hub_address, parse_hub_name
from superpose.files.own import is_inside
from superpose.serving.settings import ServerSettings

__all__ = ["Found", "check_text", "find_adapter", "find_by_whole_name"]

MAX_NAME = 1000
"""Characters of a whole request's name."""

_SEGMENT = re.compile(r'(?!\.)[^/\\:*?"<>|\x00-\x1f\x7f]+')
_SEGMENT_BYTES = 255

_RULE = "An adapter is named by its place in the server's folders, such as math or team/math."


@dataclass(frozen=True)
class Found:
    """An adapter of a request. called: as the request has it. path: of its folder, or its file."""

    called: str
    path: Path


def check_text(name: str) -> None:
    """Raise BadInput for a request's name that is too long, or that no screen shows as it is."""
    if len(name) > MAX_NAME:
        raise BadInput(
            f"the name has {len(name):,} characters; at most {MAX_NAME:,} are read",
            where=f"{name[:60]}...",
        )
    if not name.isprintable():
        raise BadInput("the name has a control character in it", where=ascii(name)[:200])


def find_adapter(called: str, settings: ServerSettings) -> Found | None:
    """Give where an adapter lies; None where there is no such one in what is allowed.

    Raises Refused for a name that leads out of the folders, or to an owner who is not allowed;
    BadInput and Missing as `files.hub.fetch` for one that the hub does not give.
    """
    if not is_hub_address(called):
        _check_path(called)
        if (path := _in_folders(called, settings)) is not None:
            return Found(called, path)
    name = parse_hub_name(called)
    if name is None:
        return None
    if not _allows(settings, name):
        if not is_hub_address(called):
            return None
        raise Refused(f"this server fetches nothing of {name.repo}", where=called)
    from superpose.files.hub import fetch  # only who names something of the hub pays for it

    return Found(called, fetch(f"hf://{name}"))


def find_by_whole_name(request: str, settings: ServerSettings) -> Found | None:
    """Give the adapter of a folder that is called as a whole request, whatever is in its name.

    As on the command line, what stands there wins over what its name would say as a sum.
    """
    path = _in_folders(request, settings)
    return None if path is None else Found(request, path)


def _check_path(called: str) -> None:
    """Raise Refused for a name that is a path of the machine's, or would leave any folder."""
    segments = re.split(r"[/\\]", called)
    why = None
    if called.startswith(("/", "\\", "~")) or Path(called).is_absolute():
        why = "is a path of the server's machine"
    elif ".." in segments:
        why = "leads out of the server's folders"
    elif any(len(os.fsencode(segment)) > _SEGMENT_BYTES for segment in segments):
        why = "has a part that is too long for any file"
    if why is not None:
        raise Refused(why, where=called[:200], hint=_RULE)


def _in_folders(called: str, settings: ServerSettings) -> Path | None:
    """Give the first folder's that has it."""
    if not all(map(_SEGMENT.fullmatch, called.split("/"))):
        return None
    for folder in settings.folders:
        path = folder / called
        if os.path.lexists(path):
            _check_inside(path, called, settings)
            return path
    return None


def _check_inside(path: Path, called: str, settings: ServerSettings) -> None:
    """Raise Refused where a path, or a file in it, is a link that leads out of all folders."""
    for one in _with_files(path):
        if not is_inside(one, settings.folders):
            name = called if one == path else f"{called}/{one.name}"
            raise Refused("is a link that leads out of the server's folders", where=name)


def _with_files(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        yield from path.iterdir()


def _allows(settings: ServerSettings, name: HubName) -> bool:
    owner = name.repo.partition("/")[0].lower()
    return owner in settings.owners or name.repo.lower() in settings.owners
