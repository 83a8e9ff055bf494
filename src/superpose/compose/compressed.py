"""The best approximation of a superposition by one of smaller rank, and what it keeps."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

from superpose.adapter import Adapter
from superpose.errors import SuperposeWarning
from superpose.lowrank import norm


class Compressed(NamedTuple):
    """An adapter of lower rank. energy_kept: |compressed|^2 / |adapter|^2, NaN for a zero one."""

    adapter: Adapter
    energy_kept: float


def best_rank(adapter: Adapter, rank: int) -> Compressed:
    """Give the best approximation with at most `rank` in each module, with the energy it keeps.

    Truncated SVD, module by module, from the factors alone (Eckart and Young, 1936). A rank that no
    module exceeds is said with a SuperposeWarning, and the adapter stays exact.

    Raises BadInput when rank is not a whole number of at least 1.
    """
    smaller = adapter.compress(rank)
    if rank >= adapter.rank:
        warnings.warn(
            f"rank {rank} is no smaller than the sum's own rank {adapter.rank}: it stays exact",
            SuperposeWarning,
            stacklevel=2,
        )
        return Compressed(adapter, 1.0)
    kept, whole = _energy(smaller), _energy(adapter)
    return Compressed(smaller, kept / whole if whole > 0.0 else math.nan)


def _energy(adapter: Adapter) -> float:
    return math.fsum(norm(delta.terms) ** 2 for delta in adapter.values())
