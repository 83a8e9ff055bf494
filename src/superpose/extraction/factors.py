"""A dense change to two factors: the best of a rank, or of the least rank that keeps a share.

Where the rank is far below the dimension, a randomised range finder (Halko, Martinsson and Tropp,
SIAM Review 53, 2011; scikit-learn's) gives a basis Q of what the change writes to, and `lowrank`
takes the SVD of Q (Q^T D) in float64: 2(q + 1) d_out d_in (k + p) operations with q power
iterations in place of the d^3 of a dense SVD. Q Q^T D is a projection, so the energy that is
reported is that of the factors given, however well Q was found.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.lowrank import Term, truncated

Array = NDArray[Any]

SMALL = 256
"""Dimension up to which the dense SVD takes milliseconds and is taken."""

_OVERSAMPLED = 10
_ITERATIONS = 7
_FIRST = 16
_ROUNDING = 1e-12
_VALUES = 1 << 18


class Factored(NamedTuple):
    """A change's approximation of low rank.

    B (out_features, rank), A (rank, in_features): float32, both of one size. kept, whole:
    Frobenius norms of B A and of the change.
    """

    B: Array
    A: Array
    kept: float
    whole: float


def factored(change: Array, rank: int, energy: float | None = None, *, seed: int = 0) -> Factored:
    """Give the best approximation B A of a change.

    change: (out_features, in_features), float32 or float64, not zero. rank: at least 1, and the
    most that may be used. energy: the share of |change|^2 to keep, above 0 and up to 1: the least
    rank that keeps it is taken, or `rank` where none does; None takes `rank`. seed: of the random
    directions.
    """
    change, scale = _ordinary(change)
    whole = float64_norm(change)
    most = min(rank, *change.shape)
    tried = first_tried(most, energy)
    while True:
        if not needs_sklearn(change.shape, tried):
            tried = most  # a dense SVD gives all of them at once
        B, A, sizes = _leading(change, tried, seed)
        kept = np.cumsum(sizes**2)
        enough = energy is None or kept[-1] >= energy * whole**2
        if enough or tried == most:
            break
        tried = min(2 * tried, most)
    few = len(sizes)
    if energy is not None and enough:
        few = int(np.argmax(kept >= energy * whole**2)) + 1
    # Directions that are only rounding are none of the change.
    few = min(few, int(np.count_nonzero(sizes > _ROUNDING * sizes[0])))
    size = min(math.sqrt(kept[few - 1]), whole)
    root = math.sqrt(scale)
    B, A = ((factor * root).astype(np.float32) for factor in (B[:, :few], A[:few]))
    return Factored(B, A, size * scale, whole * scale)


def first_tried(rank: int, energy: float | None) -> int:
    """Give the rank that is tried first: the search for a share of energy begins small."""
    return rank if energy is None else min(_FIRST, rank)


def needs_sklearn(shape: tuple[int, ...], rank: int) -> bool:
    """Say whether a change of this shape is factored by the randomised range finder."""
    few = min(shape)
    return few > SMALL and 4 * (rank + _OVERSAMPLED) <= few


def float64_norm(x: Array) -> float:
    """Give the Frobenius norm in float64, without a float64 copy of all of x."""
    flat = x.reshape(-1)
    parts = (flat[start : start + _VALUES] for start in range(0, flat.size, _VALUES))
    return math.hypot(*(float(np.linalg.norm(part.astype(np.float64))) for part in parts))


def _ordinary(change: Array) -> tuple[Array, float]:
    """Give the change at a size whose products float32 holds, and by what it was divided."""
    peak = float(max(change.max(), -change.min()))
    if 2.0**-40 < peak < 2.0**40:
        return change, 1.0
    # A power of 4 rounds nothing, and neither does its root; towards 1, so that float32 holds it.
    scale = 4.0 ** int(math.log2(peak) / 2)
    return change / np.asarray(scale, change.dtype), scale


def _leading(change: Array, rank: int, seed: int) -> tuple[Array, Array, Array]:
    """Give B, A and the singular values (descending) of the leading `rank` directions."""
    if needs_sklearn(change.shape, rank):
        from sklearn.utils.extmath import randomized_range_finder

        Q = randomized_range_finder(
            change, size=rank + _OVERSAMPLED, n_iter=_ITERATIONS, random_state=seed
        )
        _, B, A = truncated((Term(1.0, Q, Q.T @ change),), rank).term
        return B, A, np.linalg.norm(B, axis=0) ** 2
    U, s, Vt = np.linalg.svd(change.astype(np.float64), full_matrices=False)
    root = np.sqrt(s[:rank])
    return U[:, :rank] * root, root[:, None] * Vt[:rank], s[:rank]
