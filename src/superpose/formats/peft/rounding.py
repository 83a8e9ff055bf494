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
    if same_inputs:
        return _with_common_inputs(E_B, exact)
    E_A = upcast(written.A, exact.A.dtype.name) - exact.A
    error = (Term(1.0, E_B, written.A), Term(1.0, exact.B, E_A))
    return Loss(norm(error), norm((exact,)))


def _with_common_inputs(E_B: Array, exact: Term) -> Loss:
    """|E_B A|^2 = sum((E_B^T E_B) * (A A^T)), and |B A|^2 with the same A A^T."""
    A = upcast(exact.A, exact.B.dtype.name)
    inputs = (A @ A.T).astype(np.float64)
    lost, whole = (float(np.sum((x.T @ x) * inputs)) for x in (E_B, exact.B))
    if not math.isfinite(lost + whole):  # squares beyond float32: the slow way is in float64
        return Loss(norm((exact._replace(B=E_B),)), norm((exact,)))
    return Loss(math.sqrt(max(0.0, lost)), math.sqrt(max(0.0, whole)))
