"""A delta between orthonormal bases of its two sides: dW = scale * Q_out M Q_in^T, M small.

QR of the stacked B and of the stacked A^T: (d_in + d_out) R^2 operations for stacked rank R. M has
the delta's own singular values, and, unlike Gram matrices, none of its figures is squared on the
way: where terms cancel, what is left of them is left in M too.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from superpose.lowrank.stacking import stacked_inputs, stacked_outputs
from superpose.lowrank.tall import Orthonormal, tall_qr
from superpose.lowrank.terms import Array, Terms, formed, namespace, nonzero

_SMALL = 1e-40


class Core(NamedTuple):
    """scale * outputs @ middle @ inputs^T, float64.

    outputs (out_features, m), inputs (in_features, n): bases. middle (m, n), with m, n at most the
    sum of the ranks. rounding: what lies below it in `middle` is rounding.
    """

    outputs: Orthonormal
    middle: Array
    inputs: Orthonormal
    scale: float
    rounding: Array


def core(terms: Terms) -> Core:
    """Bring a delta between orthonormal bases. terms: of one shape."""
    terms = formed(nonzero(terms))
    xp = namespace(terms)
    B, b = _tamed(xp, stacked_outputs(terms, "float64"))
    A, a = _tamed(xp, stacked_inputs(terms, "float64"))
    outputs, r_out = tall_qr(B)
    inputs, r_in = tall_qr(xp.matrix_transpose(A))
    # Coefficients scale columns of B, and so those of its R: there they are far fewer numbers.
    row, c = _coefficients(terms, B)
    r_out = r_out * row[None, :]
    middle = r_out @ xp.matrix_transpose(r_in)
    # What lies below the rounding of sum |b_j| |a_j| is rounding: a zero is the truth. The largest
    # singular value is no measure of it, for where terms cancel that is rounding itself.
    size = xp.sum(xp.linalg.vector_norm(r_out, axis=0) * xp.linalg.vector_norm(r_in, axis=0))
    return Core(
        outputs, middle, inputs, product_of(c, b, a), 10 * xp.finfo(middle.dtype).eps * size
    )


def product_of(*numbers: float) -> float:
    """Give the product, which leaves float64 only where it is itself beyond it."""
    parts = [math.frexp(number) for number in numbers]
    mantissa = math.prod(part for part, _ in parts)
    with np.errstate(over="ignore"):
        return float(np.ldexp(mantissa, sum(power for _, power in parts)))


def _coefficients(terms: Terms, like: Array) -> tuple[Array, float]:
    """Give each stacked column's coefficient by the largest one's size, (sum of ranks,), and that.

    like: an array of the kind, on the device, that is wanted.
    """
    xp = namespace(terms)
    largest = max(abs(term.coefficient) for term in terms) or 1.0
    ranks = [int(term.A.shape[0]) for term in terms]
    each = [term.coefficient / largest for term in terms]
    row = [size for size, rank in zip(each, ranks, strict=True) for _ in range(rank)]
    return xp.asarray(row, dtype=like.dtype, device=device(like)), largest


def _tamed(xp: Any, x: Array) -> tuple[Array, float]:
    """Give x by its largest entry's size, and that size; x itself and 1 where it is of usual size.

    Norms square the entries, and 1e-200 squared is zero.
    """
    peak = max(float(xp.max(x)), -float(xp.min(x)))
    if peak == 0 or _SMALL < peak < 1 / _SMALL:
        return x, 1.0
    with np.errstate(invalid="ignore"):  # of infinite entries nothing is known: NaN
        return x / peak, peak
