"""One adapter asked of a library: one of its own, or any other."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from superpose.adapter import Adapter
from superpose.errors import DifferentBase
from superpose.formats import load
from superpose.library.opened import Library

if TYPE_CHECKING:
    import os

Array: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Asked:
    """An adapter that is asked about, under the names of the library.

    name: what it is called. base: its group. position: in the library, None for another. library:
    the one asked, in which the group has this adapter's modules as well. sketch: over its norm.
    stored: tensors that it holds of a head or in place of the base's own, in no figure.
    """

    name: str
    adapter: Adapter
    base: str
    position: int | None
    library: Library
    sketch: Array
    norm: float
    stored: int = 0

    @property
    def others(self) -> list[int]:
        """Positions of all other adapters of its base."""
        return [at for at in self.library.bases.get(self.base, []) if at != self.position]


def asked_of(library: Library, adapter: str | os.PathLike[str] | Adapter) -> Asked:
    """Give an adapter as it is asked of a library: by its name there, a path, or loaded.

    Raises DifferentBase where the library has none of its base model.
    """
    position = None if isinstance(adapter, Adapter) else library.position(str(adapter))
    if position is not None:
        entry = library.entries[position]
        own, name = library.adapter(position), library.names[position]
        sketch = library.sketches[position]
        return Asked(name, own, entry.base, position, library, sketch, entry.norm, entry.stored)
    whole = adapter if isinstance(adapter, Adapter) else load(adapter, beside=False)
    groups = copy.deepcopy(library.groups)
    base, own = groups.placed(whole)
    if base not in library.groups.skeletons:
        raise DifferentBase(
            "no adapter of this library has its base model, or modules of these shapes",
            where=whole.label,
            hint=f"{library.path} has adapters of {', '.join(library.bases) or 'no base model'}.",
        )
    library = replace(library, groups=groups)
    sketch, norm = library.sketch_of(own)
    stored = max(0, len(whole.replacements) + len(whole) - len(own))
    return Asked(whole.name, own, base, None, library, sketch, norm, stored)
