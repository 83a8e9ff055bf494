"""The best approximation of a delta by one of smaller rank, without forming the delta.

Eckart and Young (1936): the leading singular triples are the best approximation in the Frobenius
norm. QR of the stacked B and of the stacked A^T leaves a small core whose SVD is the delta's own:
(d_in + d_out) R^2 + R^3 operations for stacked rank R, where the dense SVD takes d^3.

All of it is in float64, whatever the factors are: terms may cancel, within one pair of stacked
factors too, and float32 would then leave nothing but its own rounding.

A Kronecker product has the singular triples of its sides, and is never formed; a sum with one in it
that is too wide for the above is projected first (`randomised`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from superpose.lowrank.core import Core, core
from superpose.lowrank.kronecker import Kronecker
from superpose.lowrank.operator import norm_of
from superpose.lowrank.randomised import projected
from superpose.lowrank.terms import (
    MOST_OF_ONE,
    Array,
    Term,
    Terms,
    beyond_float64,
    is_unformed,
    namespace_of,
    nonzero,
    rank as terms_rank,
    shape,
)
from superpose.lowrank.to_numpy import to_numpy

_DENSE = 256
"""Stacked rank up to which the SVD of the core takes milliseconds, and is taken."""


class Truncated(NamedTuple):
    """A delta's best approximation, and what it is of the delta.

    term: Term(1.0, B, A). kept, whole: Frobenius norms of the approximation and of the delta,
    kept <= whole. exact: nothing was left out but rounding.
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

    Source: Eckart and Young, Psychometrika 1 (1936). Raises ValueError for a rank below 1,
    BadInput for a delta whose norm no float64 holds.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}, must be at least 1")
    if is_unformed(terms):
        return _of_unformed(nonzero(terms), rank)
    return _of_factors(terms, rank)


def _of_factors(terms: Terms, rank: int) -> Truncated:
    found = core(terms)
    xp = namespace_of(found.middle)
    U, s, Vt = xp.linalg.svd(found.middle, full_matrices=False)
    s = _significant(xp, found, s)
    few = min(rank, int(s.shape[0]))
    # Only the directions that are kept are brought back to the delta's own size.
    U, V = found.outputs.times(U[:, :few]), found.inputs.times(xp.matrix_transpose(Vt[:few, :]))
    sizes = [float(size) for size in to_numpy(s)]
    kept, whole = math.hypot(*sizes[:few]), math.hypot(*sizes)
    if not math.isfinite(whole):
        raise beyond_float64()
    term = truncated_svd(U, s[:few], V)
    return Truncated(term, min(kept, whole), whole, not any(sizes[few:]))


def _of_unformed(terms: Terms, rank: int) -> Truncated:
    if len(terms) == 1 and isinstance(terms[0], Kronecker):
        U, sizes, V, left = terms[0].leading(rank)
        kept = math.hypot(*sizes)
        whole = math.hypot(kept, *left)
        return Truncated(truncated_svd(U, sizes, V), kept, whole, not left.any())
    if not is_projected(terms, rank):
        return _of_factors(terms, rank)
    found = _of_factors((projected(terms, rank),), rank)
    return found._replace(whole=max(norm_of(terms), found.kept), exact=False)


def is_projected(terms: Terms, rank: int) -> bool:
    """Say whether the best approximation of this rank comes from a randomised projection."""
    live = nonzero(terms)
    if not is_unformed(live) or (len(live) == 1 and isinstance(live[0], Kronecker)):
        return False
    whole = terms_rank(terms)
    large = whole * sum(shape(terms)) > MOST_OF_ONE
    return large or whole > max(_DENSE, 4 * (rank + _DENSE // 16))


def truncated_svd(U: Array, s: Array, V: Array) -> Term:
    """Give U s V^T as Term(1.0, U sqrt(s), sqrt(s) V^T), its signs settled."""
    xp = namespace_of(U)
    largest = xp.argmax(xp.abs(U), axis=0)
    sign = xp.sign(xp.take_along_axis(U, largest[None, :], axis=0))
    size = sign * xp.sqrt(s)[None, :]
    return Term(1.0, U * size, xp.matrix_transpose(V * size))


def singular_values(terms: Terms) -> np.ndarray:
    """Give the delta's singular values, descending: NumPy float64 (min(out, in, sum of ranks),).

    Their squares, cumulated, are the energy each rank keeps.
    """
    found = core(terms)
    xp = namespace_of(found.middle)
    return to_numpy(_significant(xp, found, xp.linalg.svdvals(found.middle)))


def _significant(xp: Any, found: Core, s: Array) -> Array:
    """Give the delta's singular values from those of its core: what is only rounding is zero."""
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite scale times a zero
        return xp.where(s > found.rounding, s * found.scale, xp.zeros_like(s))
