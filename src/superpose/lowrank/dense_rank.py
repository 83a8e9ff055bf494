"""The best approximation of a formed matrix: what merge methods on entries leave has full rank."""

from __future__ import annotations

import math

import numpy as np

from superpose.lowrank.randomised import range_of
from superpose.lowrank.terms import Array
from superpose.lowrank.truncation import Truncated, truncated_svd

_SMALL = 512
"""Up to this side the whole SVD takes a fraction of a second."""

_ROUNDS = 4
"""What a merge of entries leaves is spread over all directions, and more rounds gain little."""

_ROUNDING = 1e-13


def truncated_dense(x: Array, rank: int) -> Truncated:
    """Give the best approximation of at most `rank` of a matrix x, as `truncated` does.

    x: (out_features, in_features), NumPy. From sides of more than 512 on, the leading directions
    come from a randomised range finder (`randomised`), whose energy told is that of what it keeps.
    """
    few = min(rank, *x.shape)
    Q = None
    if min(x.shape) > _SMALL and 4 * few < min(x.shape):
        # In x's own precision: else every product would widen all of x.
        Q = range_of(
            lambda y: x @ y.astype(x.dtype), lambda y: x.T @ y, x.shape, few, rounds=_ROUNDS
        )
    U, s, Vt = np.linalg.svd(x if Q is None else Q.T @ x, full_matrices=False)
    s = s.astype(np.float64)
    left = np.asarray(U[:, :few], np.float64)
    kept, whole = math.hypot(*s[:few]), float(np.linalg.norm(x))
    term = truncated_svd(left if Q is None else Q @ left, s[:few], np.asarray(Vt[:few].T, "f8"))
    exact = Q is None and not (s[few:] > _ROUNDING * s[0]).any()
    return Truncated(term, min(kept, whole), whole, exact)
