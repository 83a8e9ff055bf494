"""The task weights of sums: of every subset, of each adapter alone, and their order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["order_of", "singles", "subsets"]


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
