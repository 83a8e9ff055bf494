"""The numbers that an adapter is multiplied with, and the ranks that it is compressed to."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeGuard

from superpose.errors import BadInput, BadSetting


def is_scalar(value: object) -> TypeGuard[float]:
    """Whether a value is a real number; a truth value is none here."""
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_rank(rank: object) -> int:
    """Give a rank as an int; raises BadSetting unless it is a whole number of at least 1."""
    if isinstance(rank, bool) or not isinstance(rank, Integral) or rank < 1:
        raise BadSetting(f"rank is {rank!r}; it must be a whole number of at least 1", where="rank")
    return int(rank)


def finite(weight: float) -> float:
    """Give a task weight back; raises BadInput when it is NaN or infinite."""
    if not math.isfinite(weight):
        raise BadInput(f"a task weight is {weight}; it must be a finite number")
    return weight
