"""A delta between orthonormal bases of its two sides: dW = scale * Q_out M Q_in^T, M small.

QR of the stacked B and of the stacked A^T: (d_in + d_out) R^2 operations for stacked rank R. M has
the delta's own singular values, and, unlike Gram matrices, none of its figures is squared on the
way: where terms cancel, what is left of them is left in M too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from superpose.lowrank.stack import stack
from superpose.lowrank.terms import Array, Terms, namespace, nonzero


class Core(NamedTuple):
    """scale * outputs @ middle @ inputs^T, float64.

    outputs (out_features, m), inputs (in_features, n): orthonormal columns. middle (m, n), with
    m, n at most the sum of the ranks. rounding: what lies below it in `middle` is rounding.
    """

    outputs: Array
    middle: Array
    inputs: Array
    scale: float
    rounding: Array


def core(terms: Terms) -> Core:
    """Bring a delta between orthonormal bases. terms: of one shape."""
    xp = namespace(terms)
    _, B, A = stack(nonzero(terms), "float64")
    # Brought to size 1 first: norms square their entries, and 1e-200 squared is zero.
    b, a = _peak(xp, B), _peak(xp, A)
    B, A = B / b, A / a
    outputs, r_out = xp.linalg.qr(B)
    inputs, r_in = xp.linalg.qr(xp.matrix_transpose(A))
    middle = r_out @ xp.matrix_transpose(r_in)
    # What lies below the rounding of sum |b_j| |a_j| is rounding: a zero is the truth. The largest
    # singular value is no measure of it, for where terms cancel that is rounding itself.
    size = xp.sum(xp.linalg.vector_norm(B, axis=0) * xp.linalg.vector_norm(A, axis=1))
    return Core(outputs, middle, inputs, b * a, 10 * xp.finfo(middle.dtype).eps * size)


def _peak(xp: Any, x: Array) -> float:
    """Give the size of the largest entry; 1 where all are zero."""
    return float(xp.max(xp.abs(x))) or 1.0
