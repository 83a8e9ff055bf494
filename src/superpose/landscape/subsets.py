"""Task weights: of every subset, of each adapter alone, and those where losses are measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["design_points", "order_of", "singles", "subsets"]

Array = NDArray[np.float64]


def subsets(adapters: int) -> Iterator[tuple[float, ...]]:
    """Give the task weights, 0 or 1, of the base, each adapter and each sum, smallest first."""
    for size in range(adapters + 1):
        for chosen in itertools.combinations(range(adapters), size):
            yield tuple(float(k in chosen) for k in range(adapters))


def singles(adapters: int) -> Iterator[tuple[float, ...]]:
    """Give the task weights of the base and of each adapter alone."""
    return itertools.takewhile(lambda weights: sum(weights) < 2, subsets(adapters))


def order_of(weights: Sequence[float]) -> tuple[Any, ...]:
    """Sort subsets as `subsets` gives them, and other weightings behind them."""
    taken = [k for k, weight in enumerate(weights) if weight]
    plain = all(weights[k] == 1 for k in taken)
    return (not plain, len(taken), taken, weights)


def design_points(domain: int, adapters: int) -> tuple[Sequence[Array], Sequence[Array]]:
    """Give where to measure a domain's loss: points for slopes and values, points for values alone.

    domain: index of the domain's own adapter. Slopes at the own adapter and with each other beside
    it; values at the base and at the naive sum (for two adapters their average instead). A slope
    costs a little more than two forward passes, so all this costs about 2 K + 2 for K > 1.
    """
    own = np.eye(adapters)[domain]
    with_slope = [own, *(own + np.eye(adapters)[j] for j in range(adapters) if j != domain)]
    whole = np.ones(adapters) if adapters > 2 else np.full(adapters, 0.5)
    return with_slope, [np.zeros(adapters), whole]
