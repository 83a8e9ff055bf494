"""The entrywise product of two low-rank matrices as a term: few numbers, the product of two ranks.

It is itself of low rank: column (i, j) of B is B1[:, i] * B2[:, j], row (i, j) of A is A1[i] *
A2[j], the row-wise and column-wise Khatri-Rao products. Products with few columns take one of the
first ranks at a time, so that no more than one of its slices is formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from superpose.lowrank.kronecker import exact, from_dense
from superpose.lowrank.terms import Array, Term, Unformed, upcast


@dataclass(frozen=True, eq=False)
class Hadamard(Unformed):
    """`coefficient * (B1 A1) o (B2 A2)`. first, second: B (out_features, r), A (r, in_features)."""

    coefficient: float
    first: tuple[Array, Array]
    second: tuple[Array, Array]

    @property
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features)."""
        B, A = self.first
        return int(B.shape[0]), int(A.shape[1])

    @property
    def rank(self) -> int:
        """The product of the two ranks, at most the smaller side."""
        return min(int(self.first[1].shape[0] * self.second[1].shape[0]), *self.shape)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The four factors."""
        return *self.first, *self.second

    def with_coefficient(self, coefficient: float) -> Hadamard:
        """Give the same product with another coefficient."""
        return replace(self, coefficient=coefficient)

    def times(self, x: Array) -> Array:
        """Give the delta times x, (out_features, k), float64. x: (in_features, k)."""
        return self.coefficient * sum(B @ (A @ x) for B, A in self._slices())

    def transposed_times(self, x: Array) -> Array:
        """Give the transposed delta times x, (in_features, k), float64. x: (out_features, k)."""
        return self.coefficient * sum(A.T @ (B.T @ x) for B, A in self._slices())

    def rows(self, begin: int, end: int) -> Array:
        """Give rows of the delta, (end - begin, in_features), float64."""
        first, second = (
            upcast(B[begin:end], "float64") @ upcast(A, "float64")
            for B, A in (self.first, self.second)
        )
        return self.coefficient * (first * second)

    def transposed(self) -> Hadamard:
        """Give the transposed product."""
        (B1, A1), (B2, A2) = self.first, self.second
        return replace(self, first=(A1.T, B1.T), second=(A2.T, B2.T))

    def absolute(self) -> Hadamard:
        """Give the product of the sizes of all that is held."""
        wide = self.wide()
        (B1, A1), (B2, A2) = wide.first, wide.second
        pairs = (np.abs(B1), np.abs(A1)), (np.abs(B2), np.abs(A2))
        return Hadamard(abs(self.coefficient), *pairs)

    def wide(self) -> Hadamard:
        """Give the same in float64."""
        (B1, A1), (B2, A2) = (
            (upcast(B, "float64"), upcast(A, "float64")) for B, A in (self.first, self.second)
        )
        return replace(self, first=(B1, A1), second=(B2, A2))

    def _slices(self) -> Iterator[tuple[Array, Array]]:
        """Give the factors that each of the first ranks makes of the second pair."""
        wide = self.wide()
        (B1, A1), (B2, A2) = wide.first, wide.second
        for i in range(len(A1)):
            yield B1[:, i : i + 1] * B2, A1[i] * A2

    def _formed(self) -> Term:
        rows, columns = self.shape
        if self.first[1].shape[0] * self.second[1].shape[0] >= min(self.shape):
            return Term(self.coefficient, *from_dense(replace(self, coefficient=1.0).rows(0, rows)))
        (B1, A1), (B2, A2) = ((exact(B), exact(A)) for B, A in (self.first, self.second))
        B = (B1[:, :, None] * B2[:, None, :]).reshape(rows, -1)
        A = (A1[:, None, :] * A2[None, :, :]).reshape(-1, columns)
        return Term(self.coefficient, B, np.ascontiguousarray(A))
