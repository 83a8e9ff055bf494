"""How the adapters of a library descend from each other."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.verbs.library_pages import FoundLineage

__all__ = ["lineage"]


@typed
def lineage(
    index: str | os.PathLike[str] = "library.index", *, progress: Progress | None = None
) -> FoundLineage:
    """Find the runs of an index, their checkpoints in order, and cohorts that began with one A.

    Runs and ties are found by sketches and told by exact inner products. `to_dot()` of what it
    gives is the graph for Graphviz, `page()` a page of it.

    Raises BadInput for an index that is none, and for an adapter that vanished since.
    """
    from superpose.library.lineage import lineage_of
    from superpose.library.opened import open_library
    from superpose.verbs.library_pages import FoundLineage

    started = time.perf_counter()
    found = lineage_of(open_library(index), progress)
    return FoundLineage(**vars(found), seconds=time.perf_counter() - started)
