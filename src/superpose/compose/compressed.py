"""The best approximation of a superposition by one of smaller rank, and what it keeps."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

from superpose.adapter import Adapter
from superpose.errors import SuperposeWarning


class Compressed(NamedTuple):
    """An adapter of lower rank.

    energy_kept: |compressed|^2 / |adapter|^2, between 0 and 1; NaN for a zero one. exact: nothing
    was left out but rounding. energy_kept cannot tell: it rounds to 1 where little is left out.
    """

    adapter: Adapter
    energy_kept: float
    exact: bool


def best_rank(adapter: Adapter, rank: int) -> Compressed:
    """Give the best approximation with at most `rank` in each module, with the energy it keeps.

    Truncated SVD, module by module, from the factors alone (Eckart and Young, 1936). A rank that no
    module exceeds is said with a SuperposeWarning, and the adapter stays exact.

    Raises BadInput when rank is not a whole number of at least 1.
    """
    smaller, modules = adapter.compress_measured(rank)
    if rank >= adapter.rank:
        warnings.warn(
            f"rank {rank} is no smaller than the sum's own rank {adapter.rank}: it stays exact",
            SuperposeWarning,
            stacklevel=2,
        )
        return Compressed(adapter, 1.0, True)
    # hypot scales before it squares, so that neither tiny nor huge deltas lose their energy.
    kept = math.hypot(*(module.kept for module in modules))
    whole = math.hypot(*(module.whole for module in modules))
    share = min(1.0, kept / whole) ** 2 if whole > 0.0 else math.nan
    return Compressed(smaller, share, all(module.exact for module in modules))
