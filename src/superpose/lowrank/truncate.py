"""The best approximation of a delta by one of smaller rank, without forming the delta.

Eckart and Young (1936): the leading singular triples are the best approximation in the Frobenius
norm. QR of the stacked B and of the stacked A^T leaves a small core whose SVD is the delta's own:
(d_in + d_out) R^2 + R^3 operations for stacked rank R, where the dense SVD takes d^3.

All of it is in float64, whatever the factors are: terms may cancel, within one pair of stacked
factors too, and float32 would then leave nothing but its own rounding.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from superpose.lowrank.core import Core, core
from superpose.lowrank.terms import Array, Term, Terms, namespace
from superpose.lowrank.to_numpy import to_numpy


class Truncated(NamedTuple):
    """A delta's best approximation, and what it is of the delta.

    term: Term(1.0, B, A). kept, whole: Frobenius norms of the approximation and of the delta, from
    the same singular values, kept <= whole. exact: nothing was left out but rounding.
    """

    term: Term
    kept: float
    whole: float
    exact: bool


def truncate(terms: Terms, rank: int) -> Term:
    """Give the delta's best approximation of at most `rank`, as one term: see `truncated`."""
    return truncated(terms, rank).term


def truncated(terms: Terms, rank: int) -> Truncated:
    """Give the delta's best approximation of at most `rank`, with what it keeps.

    terms: of one shape. rank: at least 1; more than min(out_features, in_features, sum of ranks)
    is clamped to that. The term is Term(1.0, B, A) in float64 with B = U sqrt(s) and A = sqrt(s)
    V^T, so that both factors are of one size and halves hold them without overflow.
    Deterministic: in each column of U the entry of largest size is positive.

    Source: Eckart and Young, Psychometrika 1 (1936). Raises ValueError for a rank below 1.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}, must be at least 1")
    xp = namespace(terms)
    found = core(terms)
    U, s, Vt = xp.linalg.svd(found.middle, full_matrices=False)
    s = _significant(xp, found, s)
    few = min(rank, int(s.shape[0]))
    # Only the directions that are kept are brought back to the delta's own size.
    U, V = found.outputs.times(U[:, :few]), found.inputs.times(xp.matrix_transpose(Vt[:few, :]))
    largest = xp.argmax(xp.abs(U), axis=0)
    sign = xp.sign(xp.take_along_axis(U, largest[None, :], axis=0))
    root = xp.sqrt(s[:few])
    size = sign * root[None, :]
    term = Term(1.0, U * size, xp.matrix_transpose(V * size))
    sizes = [float(size) for size in to_numpy(s)]
    kept, whole = math.hypot(*sizes[:few]), math.hypot(*sizes)
    return Truncated(term, min(kept, whole), whole, not any(sizes[few:]))


def singular_values(terms: Terms) -> np.ndarray:
    """Give the delta's singular values, descending: NumPy float64 (min(out, in, sum of ranks),).

    Their squares, cumulated, are the energy each rank keeps.
    """
    xp = namespace(terms)
    found = core(terms)
    return to_numpy(_significant(xp, found, xp.linalg.svdvals(found.middle)))


def _significant(xp: Any, found: Core, s: Array) -> Array:
    """Give the delta's singular values from those of its core: what is only rounding is zero."""
    return xp.where(s > found.rounding, s, xp.zeros_like(s)) * found.scale
