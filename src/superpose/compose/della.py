"""DELLA: entries dropped at random, small ones sooner, then signs elected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import Array
from superpose.compose.drawing import check_seed, drawn
from superpose.compose.entries import OnEntries
from superpose.errors import BadSetting


@dataclass(frozen=True)
class Della(OnEntries):
    """mean over k of the kept D_k / p_k whose sign is that of their sum; p_k by magnitude.

    In each row of D_k = lambda_k dW_k an entry is kept with probability density - epsilon (the
    smallest) to density + epsilon (the largest), linear in its rank by magnitude, and divided by
    that. Deep, Bhardwaj and Poria, DELLA-Merging, arXiv 2406.11617; their epsilon is the whole
    span, twice this one. mergekit scales to the old L1 norm instead.

    Raises BadSetting unless 0 < density - epsilon and density + epsilon <= 1, epsilon at least 0.
    seed: as in `Dare`.
    """

    name: ClassVar[str] = "della"
    what: ClassVar[str] = "a DELLA merge"
    elects: ClassVar[bool] = True

    density: float = 0.5
    epsilon: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)
        if not 0.0 <= self.epsilon < 1.0:
            raise BadSetting(
                f"epsilon is {self.epsilon:g}; it must be at least 0, and below the density",
                where="epsilon",
            )
        low, high = self.density - self.epsilon, self.density + self.epsilon
        if not 0.0 < low <= high <= 1.0 + 1e-12:
            raise BadSetting(
                f"density - epsilon is {low:g} and density + epsilon {high:g}; both must be above "
                "0 and at most 1",
                where="density",
            )

    def kept(self, x: Array, label: str) -> Array:
        """Give a delta with some of its entries, scaled up."""
        wide = x.shape[1]
        place = np.argsort(np.argsort(np.abs(x), axis=1), axis=1)
        share = place / (wide - 1) if wide > 1 else np.full(x.shape, 0.5)
        return drawn(x, self.density + self.epsilon * (2.0 * share - 1.0), self.seed, label)
