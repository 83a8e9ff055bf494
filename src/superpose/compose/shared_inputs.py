"""Adapters that read the same inputs, as those do that started from one A."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from superpose.lowrank.terms import Array

SHARED, RIDGE = 0.5, 0.01
"""From this overlap of two adapters' inputs on, this ridge is taken where none is given: without it
adapters that started from one A give hundreds of times their own norm."""


def overlapping(inputs: Sequence[Array]) -> bool:
    """Say whether two adapters share half of their inputs. inputs: bases, (in_features, rank)."""
    return any(
        np.sum((x.T @ y) ** 2) >= SHARED * min(x.shape[1], y.shape[1]) > 0
        for x, y in combinations(inputs, 2)
    )
