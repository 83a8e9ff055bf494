"""Which adapters of a library an adapter, or a model, is a sum of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.verbs.adapters import AdapterName
from superpose.verbs.base import Base, located
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.library.unmixed import Unmixed

__all__ = ["unmix"]

_EXTRACTED = 64
"""Rank of what is taken out of a model, unless another is given."""


@typed
def unmix(
    merged: AdapterName,
    index: str | os.PathLike[str] = "library.index",
    *,
    base: Base | None = None,
    rank: int | None = None,
    progress: Progress | None = None,
) -> Unmixed:
    """Say which adapters of an index an adapter is a sum of: weights, intervals, what is left.

    merged: an adapter, exact or compressed to any rank, in any dtype; or, with base, a fine-tuned
    or baked model, of which the change is extracted first. rank: of that extraction, at least the
    sum of the parents' ranks where that is known; 64 unless given. The sum of the parents that were
    found is formed exactly and compared with it.

    Raises BadInput for an index that is none, DifferentBase for an adapter of a base model that the
    index does not have, and as loading and `superpose.extract` do.
    """
    from superpose.library.opened import open_library
    from superpose.library.query import asked_of
    from superpose.library.unmixed import unmixed

    if rank is not None and base is None:
        raise BadSetting("is the rank of an extraction, which needs base", where="rank")
    library = open_library(index)
    asked = merged if base is None else _extracted(base, merged, rank or _EXTRACTED, progress)
    return unmixed(asked_of(library, asked), progress)


def _extracted(base: Base, model: AdapterName, rank: int, progress: Progress | None) -> Adapter:
    """Take out of a model what was done to its base; its name for the base says nothing here."""
    from superpose.adapter import Adapter
    from superpose.extraction import extract

    if isinstance(model, Adapter):
        raise BadSetting("goes with a model's folder or name, not an adapter", where="base")
    found = extract(located(base), model, rank, progress=progress)
    return found.adapter.on_base(None)
