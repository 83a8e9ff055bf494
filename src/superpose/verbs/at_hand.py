"""The base model where it lies on this machine: its own names, and what it takes of a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from superpose.verbs.base import base_name
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.baking.found import ReadBack
    from superpose.files.checkpoint import Checkpoint
    from superpose.names.tree import Tree
    from superpose.verbs.base import Base

__all__ = ["base_of", "read_back", "tree_at_hand"]


def base_of(adapters: Sequence[Adapter], base: str | None) -> Checkpoint | None:
    """Open the headers of the base model where it lies on this machine; nothing is fetched.

    base: as it was given; None for the one that the adapters name.
    """
    from superpose.adapter.same_base import base_with_revision
    from superpose.files.base import base_at_hand
    from superpose.files.file_format import Family, family_of_format

    if any(family_of_format(adapter.format) != Family.BASE for adapter in adapters):
        return None
    named = (base, *map(base_with_revision, adapters))
    return base_at_hand(next(filter(None, named), None))


def tree_at_hand(adapters: Sequence[Adapter], base: Base | None) -> Tree | None:
    """Give the base model's own names where it was given and lies on this machine."""
    here = None if base is None else base_of(adapters, base_name(base))
    if here is None:
        return None
    from superpose.baking.found import tree_of_base

    return tree_of_base(here)


def read_back(path: Path, base: Checkpoint | None, name: str | None) -> ReadBack | None:
    """Read an adapter that was written and say what its base takes; None where it is not here."""
    if base is None or not path.is_dir():
        return None
    from superpose.baking.found import found_in
    from superpose.formats import load

    found = found_in(load(path), base, name or str(base.folder))
    for key, why in list(found.missing.items())[:3]:
        note("warning", f"`{key}` is not found in {found.base}: {why}")
    return found
