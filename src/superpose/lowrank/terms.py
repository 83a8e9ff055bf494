"""What a delta is made of: terms (coefficient, B, A), whose sum is the delta.

A term stands for `coefficient * B @ A`, B (out_features, rank), A (rank, in_features). Terms are
closed under sums (tuples are joined) and scaling (coefficients are multiplied); the factors are
shared between all the deltas made from them, and nothing here ever writes into one. A product of
few numbers whose factors would be many (a Kronecker product) stays unformed as long as it can.

Every function of this package takes arrays of one array-API namespace (NumPy, torch, ...).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from superpose.errors import BadInput, Refused

Array: TypeAlias = Any
"""An array of any array-API namespace."""

MOST_OF_ONE = 1 << 25
"""Entries of one module's formed factors: 268 MB in float64, twice a large UNet's largest."""

CANCELLING = 1e-6
"""Share of (sum of the terms' sizes)^2 from which a squared norm is good to 1e-9 of itself: below
it the terms nearly cancel, and what is left is not to be squared on the way."""


class Term(NamedTuple):
    """`coefficient * B @ A`: B (out_features, rank), A (rank, in_features)."""

    coefficient: float
    B: Array
    A: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features)."""
        return int(self.B.shape[0]), int(self.A.shape[1])

    @property
    def rank(self) -> int:
        """The factors' rank."""
        return int(self.A.shape[0])

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What is held."""
        return self.B, self.A

    def with_coefficient(self, coefficient: float) -> Term:
        """Give the same factors with another coefficient."""
        return self._replace(coefficient=coefficient)

    def formed(self) -> Term:
        """Give the term itself: its factors are there."""
        return self


class Unformed(ABC):
    """A term whose factors would be far more numbers than it is held in; NumPy arrays alone.

    shape: (out_features, in_features). rank: that the factors would have. arrays: what is held.
    """

    coefficient: float

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features)."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """The rank that the factors would have."""

    @property
    @abstractmethod
    def arrays(self) -> tuple[Array, ...]:
        """What is held."""

    @abstractmethod
    def with_coefficient(self, coefficient: float) -> Self:
        """Give the same product with another coefficient."""

    @abstractmethod
    def times(self, x: Array) -> Array:
        """Give the delta times x, (out_features, k), float64. x: (in_features, k)."""

    @abstractmethod
    def transposed_times(self, x: Array) -> Array:
        """Give the transposed delta times x, (in_features, k), float64. x: (out_features, k)."""

    @abstractmethod
    def rows(self, begin: int, end: int) -> Array:
        """Give rows of the delta, (end - begin, in_features), float64."""

    @abstractmethod
    def transposed(self) -> Self:
        """Give the transposed product."""

    @abstractmethod
    def absolute(self) -> Self:
        """Give the product of the sizes of all that is held: no sum in it is larger."""

    @abstractmethod
    def wide(self) -> Self:
        """Give the same in float64, ready to be asked for many rows."""

    @abstractmethod
    def _formed(self) -> Term:
        """Give the factors, whatever their size."""

    @property
    def entries(self) -> int:
        """Of the factors that `formed` would give."""
        return self.rank * sum(self.shape)

    def formed(self) -> Term:
        """Give the term with its factors, exact; raises Refused where they would not fit."""
        if self.entries > MOST_OF_ONE:
            raise Refused(
                f"a product of shape {self.shape} is {self.entries * 8 / 1e9:,.1f} GB as factors "
                f"of rank {self.rank:,}",
                hint="Take its best approximation of a rank: --rank 64 (in Python: "
                "adapter.compress(64)), which never forms it.",
            )
        return self._formed()

    @property
    def B(self) -> Array:  # noqa: N802 - as in Term
        """(out_features, rank), formed anew each time."""
        return self.formed().B

    @property
    def A(self) -> Array:  # noqa: N802 - as in Term
        """(rank, in_features), formed anew each time."""
        return self.formed().A


AnyTerm: TypeAlias = Term | Unformed

Terms: TypeAlias = tuple[AnyTerm, ...]
"""The delta that is the sum of these terms; never empty."""


def beyond_float64(module: str | None = None) -> BadInput:
    """Give the error of a delta whose norm no float64 holds."""
    return BadInput(
        "the factors of a delta are too large: their product lies beyond float64", where=module
    )


def shape(terms: Terms) -> tuple[int, int]:
    """Give (out_features, in_features) of the delta that these terms make."""
    return terms[0].shape


def rank(terms: Terms) -> int:
    """Give the sum of the terms' ranks: what an exact copy takes, and a bound of the true rank."""
    return sum(term.rank for term in terms)


def nonzero(terms: Terms) -> Terms:
    """Leave out the terms whose coefficient is 0; one stays where all are."""
    return tuple(term for term in terms if term.coefficient != 0.0) or terms[:1]


def formed(terms: Iterable[AnyTerm]) -> tuple[Term, ...]:
    """Give the same terms with their factors; raises Refused as `Unformed.formed` does."""
    return tuple(term.formed() for term in terms)


def is_unformed(terms: Iterable[AnyTerm]) -> bool:
    """Say whether one of the terms is not there as factors."""
    return any(isinstance(term, Unformed) for term in terms)


def is_zero(term: AnyTerm) -> bool:
    """Say whether a factor, or the coefficient, has nothing but zeros."""
    return term.coefficient == 0.0 or not all(x.any() for x in term.arrays)


def dtype_name(x: Array) -> str:
    """Give the name of x's dtype as NumPy spells it: torch says `torch.float32`."""
    return _name_of(x.dtype)


@lru_cache(maxsize=64)
def _name_of(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]  # NumPy makes its name anew each time


def namespace(terms: Sequence[AnyTerm]) -> Any:
    """Give the array-API namespace all these factors belong to.

    Raises TypeError when they are of different ones (a torch tensor beside a NumPy array).
    """
    return namespace_of(*(factor for term in terms for factor in term.arrays))


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
    for term in formed(terms):
        total = total + (term.coefficient * upcast(term.B)) @ upcast(term.A)
    return total
