"""What writing in a dtype costs: |written - exact| and |exact| of one module, from the factors.

written - exact = E_B A' + B E_A, where E is what rounding did to a factor. Norms come from products
of (rank, rank) size; where what belongs to several adapters nearly cancels, as in 0.3 x - 0.3 y of
two that are almost one, those products' own rounding is larger than what is left, and a QR takes
over.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.lowrank import Term, norm_without_squares, upcast

Array = NDArray[Any]


RESOLVED = 1e-2
"""Share of the sum of absolute products above which a sum of products in float32 is right to 1e-4:
float32 leaves 1e-7 of each, and a few thousand of them are added up."""


class Loss(NamedTuple):
    """Frobenius norms of one module: of what rounding lost, and of the exact delta.

    exact: None where nothing was lost and nobody had to know. cancelling: whether the delta is far
    smaller than what it is the sum of, so that factors in float32 tell little of it.
    """

    lost: float
    exact: float | None
    cancelling: bool = False


def loss(exact: Term, written: Term) -> Loss:
    """Measure what rounding made of B and A.

    exact: B and A before rounding, coefficient 1; A may be narrower than B where it is written as
    it is. written: the same after it.
    """
    E_B = upcast(written.B, exact.B.dtype.name) - exact.B
    same_inputs = written.A is exact.A
    if same_inputs and not E_B.any():
        return Loss(0.0, None)
    # Brought to size 1 before anything is squared: the square of 1e-300 is zero in any dtype.
    b, a = _unit(exact.B), _unit(exact.A)
    B, E_B = exact.B / b, E_B / b
    # In the wider of the two: a float32 knows no number by which a delta of 1e-60 is divided.
    wide = np.result_type(exact.B, upcast(exact.A)).name
    A, narrow = (upcast(x.A, wide) / a for x in (exact, written))
    inputs = A if same_inputs else np.concatenate([narrow, narrow - A])
    lost, _ = _length(E_B if same_inputs else np.concatenate([E_B, B], axis=1), inputs)
    whole, cancelling = _length(B, A)
    return Loss(lost * b * a, whole * b * a, cancelling)


def _unit(x: Array) -> float:
    """Give the power of two at the largest entry's size: dividing by it rounds nothing."""
    peak = float(np.max(np.abs(x)))
    return math.ldexp(1.0, math.frexp(peak)[1] - 1) if 0.0 < peak < math.inf else 1.0


def _length(B: Array, A: Array) -> tuple[float, bool]:
    """Give |B A|, whose square is sum((B^T B) * (A A^T)), and whether that sum is far too small."""
    products = (B.T @ B).astype(np.float64) * (A @ A.T)
    square, size = float(np.sum(products)), float(np.sum(np.abs(products)))
    if square > RESOLVED * size or size == 0.0:
        return math.sqrt(max(0.0, square)), False
    return norm_without_squares((Term(1.0, B, A),)), True
