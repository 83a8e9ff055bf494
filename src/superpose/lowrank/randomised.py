"""The directions that a delta of unformed terms writes to most, from its products with few columns.

A randomised range finder with power iterations (Halko, Martinsson and Tropp, SIAM Review 53, 2011,
algorithm 4.4): Q, and dW projected on it is Q (Q^T dW), of which the best approximation of a rank
is taken. That is a projection: the energy told is that of what is kept, however well Q was found,
and at most that of the best approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from superpose.lowrank.operator import times, transposed_times
from superpose.lowrank.terms import Array, Term, Terms, shape

Products: TypeAlias = Callable[[Array], Array]

_OVERSAMPLED = 10
_ITERATIONS = 7
_SEED = 0


def projected(terms: Terms, rank: int) -> Term:
    """Give Q and Q^T dW as one term, float64, its rank a little above `rank`."""
    high, wide = shape(terms)
    Q = range_of(
        lambda x: times(terms, x), lambda x: transposed_times(terms, x), (high, wide), rank
    )
    return Term(1.0, Q, np.ascontiguousarray(transposed_times(terms, Q).T))


def range_of(
    times: Products,
    transposed_times: Products,
    shape: tuple[int, int],
    rank: int,
    rounds: int = _ITERATIONS,
) -> Array:
    """Give Q, (out_features, a little more than rank), of what is known by its products alone."""
    few = min(rank + _OVERSAMPLED, *shape)
    x = np.random.default_rng(_SEED).standard_normal((shape[1], few))
    for _ in range(rounds):
        x = _basis(transposed_times(_basis(times(x))))
    return _basis(times(x))


def _basis(x: np.ndarray) -> np.ndarray:
    # Directions come out in descending order of size; a QR keeps the small ones apart from them.
    return np.linalg.qr(x)[0]
