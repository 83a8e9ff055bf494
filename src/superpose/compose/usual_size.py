"""Deltas brought to a size whose squares float64 holds, and what was made of them brought back.

A method gives c times its result for c times its deltas, so that a power of two, which rounds
nothing, may be taken out before any of its arithmetic and put back behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from superpose.errors import Refused
from superpose.lowrank import Array, Term, Truncated
from superpose.lowrank.canonical_split import sizes
from superpose.lowrank.terms import beyond_float64

_USUAL = 300
"""Powers of two to either side within which squares, and squares of squares' sums, are held."""

_APART = 450
"""Powers of two between two deltas beyond which the square of the smaller one is lost."""


def power_of(split: Term) -> int:
    """Give the power of two just above a delta's largest singular value. split: canonical."""
    return math.frexp(float(sizes(split)[0]))[1]


def common_power(splits: Sequence[Term], labels: Sequence[str], what: str) -> int:
    """Give the power of two, even, that is to be taken out of all; 0 where all are of usual size.

    splits: canonical, not zero. labels: what each is called, for the error; what: what squares
    them. Raises Refused where one is so small beside another that no arithmetic holds both.
    """
    powers = [power_of(split) for split in splits]
    low, high = min(powers), max(powers)
    if low >= -_USUAL and high <= _USUAL:
        return 0
    if high - low > _APART:
        small, large = labels[powers.index(low)], labels[powers.index(high)]
        raise Refused(
            f"{small} is 1e{(low - high) * math.log10(2.0):.0f} times as large as {large}, "
            f"and {what} squares them, which leaves nothing of it",
            hint=f"Leave {small} out, or give it a task weight that brings it near {large}.",
        )
    return high + high % 2


def length_of(x: Array) -> float:
    """Give the Frobenius norm of a matrix of any size."""
    power = math.frexp(float(np.max(np.abs(x), initial=0.0)))[1]
    return float(np.ldexp(np.linalg.norm(np.ldexp(x, -power)), power))


def without_power(split: Term, power: int) -> Term:
    """Give a split divided by the power of two. power: even."""
    return Term(1.0, *(np.ldexp(x, -power // 2) for x in (split.B, split.A))) if power else split


def with_power(found: Truncated, power: int) -> Truncated:
    """Give the result times the power of two; BadInput where no float64 holds it. power: even."""
    if power == 0:
        return found
    with np.errstate(over="ignore"):
        kept, whole = (float(np.ldexp(x, power)) for x in (found.kept, found.whole))
    if not math.isfinite(whole):
        raise beyond_float64()
    return found._replace(term=without_power(found.term, -power), kept=kept, whole=whole)
