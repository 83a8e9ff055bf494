"""The directions that a delta of unformed terms writes to most, from its products with few columns.

A randomised range finder with power iterations (Halko, Martinsson and Tropp, SIAM Review 53, 2011,
algorithm 4.4): Q, and dW projected on it is Q (Q^T dW), of which the best approximation of a rank
is taken. That is a projection: the energy told is that of what is kept, however well Q was found,
and at most that of the best approximation.
"""

from __future__ import annotations

import numpy as np

from superpose.lowrank.operator import times, transposed_times
from superpose.lowrank.terms import Term, Terms, shape

_OVERSAMPLED = 10
_ITERATIONS = 7
_SEED = 0


def projected(terms: Terms, rank: int) -> Term:
    """Give Q and Q^T dW as one term, float64, its rank a little above `rank`."""
    high, wide = shape(terms)
    few = min(rank + _OVERSAMPLED, high, wide)
    x = np.random.default_rng(_SEED).standard_normal((wide, few))
    for _ in range(_ITERATIONS):
        x = _basis(transposed_times(terms, _basis(times(terms, x))))
    Q = _basis(times(terms, x))
    return Term(1.0, Q, np.ascontiguousarray(transposed_times(terms, Q).T))


def _basis(x: np.ndarray) -> np.ndarray:
    # Directions come out in descending order of size; a QR keeps the small ones apart from them.
    return np.linalg.qr(x)[0]
