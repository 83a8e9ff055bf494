"""What a delta is made of: terms (coefficient, B, A), whose sum is the delta.

A term stands for `coefficient * B @ A`, B (out_features, rank), A (rank, in_features). Terms are
closed under sums (tuples are joined) and scaling (coefficients are multiplied); the factors are
shared between all the deltas made from them, and nothing here ever writes into one.

Every function of this package takes arrays of one array-API namespace (NumPy, torch, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

Array: TypeAlias = Any
"""An array of any array-API namespace."""


class Term(NamedTuple):
    """`coefficient * B @ A`: B (out_features, rank), A (rank, in_features)."""

    coefficient: float
    B: Array
    A: Array


Terms: TypeAlias = tuple[Term, ...]
"""The delta that is the sum of these terms; never empty."""


def shape(terms: Terms) -> tuple[int, int]:
    """Give (out_features, in_features) of the delta that these terms make."""
    return int(terms[0].B.shape[0]), int(terms[0].A.shape[1])


def rank(terms: Terms) -> int:
    """Give the sum of the terms' ranks: what an exact copy takes, and a bound of the true rank."""
    return sum(int(term.A.shape[0]) for term in terms)


def nonzero(terms: Terms) -> Terms:
    """Leave out the terms whose coefficient is 0; one stays where all are."""
    return tuple(term for term in terms if term.coefficient != 0.0) or terms[:1]


def dtype_name(x: Array) -> str:
    """Give the name of x's dtype as NumPy spells it: torch says `torch.float32`."""
    return str(x.dtype).rpartition(".")[2]


def namespace(terms: Sequence[Term]) -> Any:
    """Give the array-API namespace all these factors belong to.

    Raises TypeError when they are of different ones (a torch tensor beside a NumPy array).
    """
    return namespace_of(*(factor for term in terms for factor in (term.B, term.A)))


def namespace_of(*arrays: Array) -> Any:
    """Give the array-API namespace of these arrays; TypeError when they are of different ones.

    NumPy 2 is its own: array_api_compat.numpy would import all of NumPy, f2py and testing too,
    which takes longer than a whole check.
    """
    return np if all(map(is_numpy_array, arrays)) else array_namespace(*arrays)


def upcast(x: Array, dtype: str = "float32") -> Array:
    """Give x in float32 or better: halves become `dtype`, float64 stays what it is.

    x: any shape, float16, bfloat16, float32 or float64. dtype: "float32" or "float64", the least
    precision wanted. Widening is exact; an array that is wide enough already is not copied.
    """
    xp = namespace_of(x)
    if x.dtype == xp.float64 or x.dtype == getattr(xp, dtype):
        return x
    return x.astype(dtype) if xp is np else xp.astype(x, getattr(xp, dtype))


def dense(terms: Terms) -> Array:
    """Form the delta: (out_features, in_features), float32 or better.

    For small modules and for tests: nothing in superpose needs it on a real model.
    """
    total: Array = 0.0
    for term in terms:
        total = total + (term.coefficient * upcast(term.B)) @ upcast(term.A)
    return total
