"""The best approximation of a delta by one of smaller rank, without forming the delta.

Eckart and Young (1936): the leading singular triples are the best approximation in the Frobenius
norm. QR of the stacked B and of the stacked A^T leaves a small core whose SVD is the delta's own:
(d_in + d_out) R^2 + R^3 operations for stacked rank R, where the dense SVD takes d^3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpose.lowrank.stack import stack
from superpose.lowrank.terms import Array, Term, Terms, namespace
from superpose.lowrank.to_numpy import to_numpy


class _Triples(NamedTuple):
    """U diag(s) V^T: U (out_features, n), s (n,) descending, V^T (n, in_features)."""

    U: Array
    s: Array
    Vt: Array


def truncate(terms: Terms, rank: int) -> Term:
    """Give the delta's best approximation of at most `rank`, as one term.

    terms: of one shape. rank: at least 1; more than min(out_features, in_features, sum of ranks)
    is clamped to that. Returns Term(1.0, B, A) in float32 or better with B = U sqrt(s) and
    A = sqrt(s) V^T, so that both factors are of one size and halves hold them without overflow.
    Deterministic: in each column of U the entry of largest size is positive.

    The error is the dense optimum's to a relative 1e-5 in float32. Source: Eckart and Young,
    Psychometrika 1 (1936). Raises ValueError for a rank below 1.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}, must be at least 1")
    xp = namespace(terms)
    U, s, Vt = _triples(terms)
    kept = min(rank, int(s.shape[0]))
    root = xp.sqrt(s[:kept])
    return Term(1.0, U[:, :kept] * root[None, :], root[:, None] * Vt[:kept, :])


def singular_values(terms: Terms) -> np.ndarray:
    """Give the delta's singular values, descending: NumPy float64 (min(out, in, sum of ranks),).

    Their squares, cumulated, are the energy each rank keeps.
    """
    return to_numpy(_triples(terms).s)


def _triples(terms: Terms) -> _Triples:
    xp = namespace(terms)
    _, B, A = stack(terms)
    q_out, r_out = xp.linalg.qr(B)
    q_in, r_in = xp.linalg.qr(xp.matrix_transpose(A))
    U, s, Vt = xp.linalg.svd(r_out @ xp.matrix_transpose(r_in), full_matrices=False)
    # The core's last triples are rounding where terms depend on each other: a zero is the truth.
    s = xp.where(s > 10 * xp.finfo(s.dtype).eps * s[0], s, xp.zeros_like(s))
    U, Vt = q_out @ U, Vt @ xp.matrix_transpose(q_in)
    largest = xp.argmax(xp.abs(U), axis=0)
    sign = xp.sign(xp.take_along_axis(U, largest[None, :], axis=0))
    return _Triples(U * sign, s, xp.matrix_transpose(sign) * Vt)
