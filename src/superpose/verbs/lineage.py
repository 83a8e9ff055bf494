"""How the adapters of a library descend from each other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.library.lineage import Lineage

__all__ = ["lineage"]


def lineage(
    index: str | os.PathLike[str] = "library.index", *, progress: Progress | None = None
) -> Lineage:
    """Find the runs of an index, their checkpoints in order, and cohorts that began with one A.

    Runs and ties are found by sketches and told by exact inner products. `to_dot()` of what it
    gives is the graph for Graphviz.

    Raises BadInput for an index that is none, and for an adapter that vanished since.
    """
    from superpose.library.lineage import lineage_of
    from superpose.library.opened import open_library

    return lineage_of(open_library(index), progress)
