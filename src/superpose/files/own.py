"""Files that are copied or sent as they are: a folder's own, and no link that leads out of it.

A model from elsewhere can hold a link such as `vocab.txt -> ~/.ssh/id_rsa`: what is read as a
configuration or as tensors is checked for being that, but what is carried along is anybody's file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from superpose.errors import BadInput, Refused, placed

__all__ = ["is_inside", "own_file", "own_files_below"]


def is_inside(path: str | os.PathLike[str], roots: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether a path lies in one of the folders once all links are followed."""
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, root]) == root for root in map(os.path.realpath, roots))


def own_file(path: Path, folder: Path) -> Path:
    """Give a file of a folder back that is to be copied or sent.

    Raises Refused for a link that leads out of the folder, BadInput for what is no regular file or
    not there. The hub's cache is made of links into the blobs beside its snapshots: those are its
    own.
    """
    with placed(path):
        if not is_inside(path, _roots(folder)):
            raise Refused(
                f"is a link out of its folder, to {os.path.realpath(path)}, and would be passed on "
                "with it",
                hint="If that file belongs there, put a copy in place of the link.",
            )
        if not path.is_file():
            raise BadInput("is no regular file" if path.exists() else "is not there")
    return path


def own_files_below(top: Path, folder: Path) -> Iterator[Path]:
    """Give the files below a folder's subfolder `top`, each checked as `own_file` does.

    A link to a folder is none of them: followed, it could lead back to where it stands.
    """
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield own_file(path, folder)


def _roots(folder: Path) -> Iterator[Path]:
    """Give the folder, and where the hub's cache keeps the files of a snapshot."""
    yield folder
    for above in folder.resolve().parents:
        if above.name == "snapshots":
            yield above.parent / "blobs"
