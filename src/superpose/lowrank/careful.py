"""Inner products where squares would lose them: beyond float64's range, and where terms cancel.

Gram matrices square the factors. Of entries of 1e160 that is infinite, of 1e-170 zero; and of two
terms that almost cancel what is left drowns, because <x, x> carries the rounding of the terms.
Between orthonormal bases (`core`) nothing is squared: cosines there are right to rounding of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from array_api_compat import device

from superpose.lowrank.core import core
from superpose.lowrank.terms import Array, Term, Terms, formed, namespace_of, nonzero, upcast
from superpose.lowrank.to_numpy import to_numpy

_MOST = 1000
"""Powers of two beyond this are no float64's by themselves."""


class Units(NamedTuple):
    """K deltas of one target module by direction and length.

    cosines (K, K): 0 beside a delta that is zero or None. norms (K,): Frobenius.
    """

    cosines: np.ndarray
    norms: np.ndarray


def units(deltas: Sequence[Terms | None]) -> Units:
    """Give cosines and norms from a QR of each delta's factors, and no square of anything.

    deltas: terms that are formed, of one shape, or None. What lies below the rounding of the terms
    is zero.
    """
    cores = [None if terms is None else core(terms) for terms in deltas]
    sides: list[tuple[np.ndarray, np.ndarray] | None] = []
    norms = np.zeros(len(cores))
    for k, found in enumerate(cores):
        length = 0.0 if found is None else float(np.linalg.norm(to_numpy(found.middle)))
        if found is None or not length > float(found.rounding):
            sides.append(None)
            continue
        xp = namespace_of(found.middle)
        norms[k] = length * found.scale
        left = to_numpy(found.outputs.times(found.middle / length))
        every = xp.eye(found.middle.shape[1], dtype=found.middle.dtype, device=device(found.middle))
        sides.append((left, to_numpy(found.inputs.times(every))))
    cosines = np.zeros((len(cores), len(cores)))
    for i, x in enumerate(sides):
        for j, y in enumerate(sides[: i + 1]):
            if x is not None and y is not None:
                both = (x[0].T @ y[0]) * (x[1].T @ y[1])
                cosines[i, j] = cosines[j, i] = float(both.sum())
    return Units(cosines, norms)


def tamed(terms: Terms) -> tuple[Terms, int]:
    """Give a delta of usual size, and the power of two by which it is the given one.

    terms: that are formed. Each factor is divided by a power of two, exactly, so that its largest
    entry lies between 1/2 and 1; the largest coefficient is brought there too. A term that is
    smaller by more than float64 can tell becomes zero.
    """
    found: list[tuple[Term, int]] = []
    for term in formed(nonzero(terms)):
        b, a = _exponent(term.B), _exponent(term.A)
        mantissa, c = math.frexp(term.coefficient)
        zero = b is None or a is None or mantissa == 0.0
        B = upcast(term.B, "float64") * 2.0 ** -(b or 0)
        A = upcast(term.A, "float64") * 2.0 ** -(a or 0)
        found.append((Term(0.0 if zero else mantissa, B, A), (b or 0) + (a or 0) + c))
    live = [power for term, power in found if term.coefficient != 0.0]
    most = max(live, default=0)
    return tuple(
        term.with_coefficient(math.ldexp(term.coefficient, max(power - most, -_MOST)))
        for term, power in found
    ), most


def _exponent(x: Array) -> int | None:
    """Give the power of two just above the largest entry; None where there is none but zeros."""
    xp = namespace_of(x)
    peak = max(float(xp.max(x)), -float(xp.min(x)))
    return None if peak == 0.0 else max(-_MOST, min(_MOST, math.frexp(peak)[1]))
