"""Files that are copied or sent as they are: a folder's own, and no link that leads out of it.

A model from elsewhere can hold a link such as `vocab.txt -> ~/.ssh/id_rsa`: what is read as a
configuration or as tensors is checked for being that, but what is carried along is anybody's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from superpose.errors import BadInput, Refused, placed

__all__ = ["own_file", "own_files_below"]


def own_file(path: Path, folder: Path) -> Path:
    """Give a file of a folder back that is to be copied or sent.

    Raises Refused for a link that leads out of the folder, BadInput for what is no regular file or
    not there. The hub's cache is made of links into the blobs beside its snapshots: those are its
    own.
    """
    with placed(path):
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in _roots(folder)):
            raise Refused(
                f"is a link out of its folder, to {real}, and would be passed on with it",
                hint="If that file belongs there, put a copy in place of the link.",
            )
        if not real.is_file():
            raise BadInput("is no regular file" if real.exists() else "is not there")
    return path


def own_files_below(top: Path, folder: Path) -> Iterator[Path]:
    """Give the files below a folder's subfolder `top`, each checked as `own_file` does."""
    if not top.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"is a link out of its folder, to {top.resolve()}", where=top)
    for path in sorted(top.iterdir()):
        if path.is_dir():
            yield from own_files_below(path, folder)
        else:
            yield own_file(path, folder)


def _roots(folder: Path) -> Iterator[Path]:
    """Give the folder, and where the hub's cache keeps the files of a snapshot."""
    real = folder.resolve()
    yield real
    for above in real.parents:
        if above.name == "snapshots":
            yield above.parent / "blobs"
