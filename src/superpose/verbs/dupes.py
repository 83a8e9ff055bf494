"""Copies in a library: the same adapter under other names."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.library.dupes import Duplicates

__all__ = ["dupes"]


@typed
def dupes(
    index: str | os.PathLike[str] = "library.index",
    *,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Duplicates:
    """Find adapters of an index that are one another's copies, and say which to keep.

    A copy is c times another, whatever its names, split, dtype, scale or file format. tolerance:
    relative difference up to which it counts as one; None is what rounding to bfloat16 can do.

    Raises BadInput for an index that is none, and for an adapter that vanished since.
    """
    from superpose.library.dupes import TOLERANCE, duplicates
    from superpose.library.opened import open_library

    most = TOLERANCE if tolerance is None else tolerance
    if not 0.0 <= most < math.inf:
        raise BadSetting(f"tolerance is {tolerance}; it must be at least 0", where="tolerance")
    return duplicates(open_library(index), most, progress)
