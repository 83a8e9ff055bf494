"""What writing in a dtype costs: |written - exact| and |exact| of one module, from the factors.

written - exact = E_B A' + B E_A, where E is what rounding did to a factor. Each factor's error is
formed on its own, so nothing cancels, and both norms come from products of (rank, rank) size.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.lowrank import Term, norm, upcast

Array = NDArray[Any]


class Loss(NamedTuple):
    """Frobenius norms of one module: of what rounding lost, and of the exact delta.

    exact: None where nothing was lost and nobody had to know.
    """

    lost: float
    exact: float | None


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
    if same_inputs:
        lost, whole = _with_common_inputs(E_B, B, upcast(exact.A, B.dtype.name) / a)
    else:
        A, narrow = exact.A / a, upcast(written.A, exact.A.dtype.name) / a
        error = (Term(1.0, E_B, narrow), Term(1.0, B, narrow - A))
        lost, whole = norm(error), norm((Term(1.0, B, A),))
    return Loss(lost * b * a, whole * b * a)


def _unit(x: Array) -> float:
    """Give the power of two at the largest entry's size: dividing by it rounds nothing."""
    peak = float(np.max(np.abs(x)))
    return math.ldexp(1.0, math.frexp(peak)[1] - 1) if 0.0 < peak < math.inf else 1.0


def _with_common_inputs(E_B: Array, B: Array, A: Array) -> tuple[float, float]:
    """|E_B A|^2 = sum((E_B^T E_B) * (A A^T)), and |B A|^2 with the same A A^T."""
    inputs = (A @ A.T).astype(np.float64)
    lost, whole = (float(np.sum((x.T @ x) * inputs)) for x in (E_B, B))
    return math.sqrt(max(0.0, lost)), math.sqrt(max(0.0, whole))
