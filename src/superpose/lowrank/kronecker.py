"""A Kronecker product of two small matrices as a term: its factors are never formed for a figure.

Everything a term is asked for comes from the two sides: (W1 (x) W2) X is two products with the
small matrices; inner products are products of the sides' inner products; the singular values are
the products s1_i s2_j of the sides' singular values, with vectors u1_i (x) u2_j and v1_i (x) v2_j,
so that the best approximation of a rank is exact (Van Loan, The ubiquitous Kronecker product,
Journal of Computational and Applied Mathematics 123, 2000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from superpose.lowrank.terms import Array, Term, Terms, Unformed

Side: TypeAlias = tuple[Array, ...]
"""One of the two matrices: (W,) as it is, or (B, A) whose product it is."""

_ROUNDING = 10 * float(np.finfo(np.float64).eps)


class Leading(NamedTuple):
    """The largest singular triples, float64.

    U (out_features, k), sizes (k,) descending, V (in_features, k). left: the other sizes.
    """

    U: Array
    sizes: Array
    V: Array
    left: Array


@dataclass(frozen=True, eq=False)
class Kronecker(Unformed):
    """`coefficient * W1 (x) W2`: W1 (a, c), W2 (b, d), the term is (a b, c d)."""

    coefficient: float
    first: Side
    second: Side

    @property
    def splits(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Shapes of the two sides."""
        return _shape(self.first), _shape(self.second)

    @property
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features)."""
        (a, c), (b, d) = self.splits
        return a * b, c * d

    @property
    def rank(self) -> int:
        """The product of the sides' ranks, at most the smaller side of the whole."""
        return min(_rank(self.first) * _rank(self.second), *self.shape)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The sides' own."""
        return *self.first, *self.second

    def with_coefficient(self, coefficient: float) -> Kronecker:
        """Give the same product with another coefficient."""
        return replace(self, coefficient=coefficient)

    def times(self, x: Array) -> Array:
        """Give the delta times x, (out_features, k), float64. x: (in_features, k)."""
        return self.coefficient * kronecker_times(whole(self.first), whole(self.second), x)

    def transposed_times(self, x: Array) -> Array:
        """Give the transposed delta times x, (in_features, k), float64. x: (out_features, k)."""
        return self.coefficient * kronecker_times(whole(self.first).T, whole(self.second).T, x)

    def rows(self, begin: int, end: int) -> Array:
        """Give rows of the delta, (end - begin, in_features), float64."""
        W1, W2 = whole(self.first), whole(self.second)
        b = len(W2)
        parts = [
            np.kron(W1[i : i + 1], W2[max(0, begin - i * b) : end - i * b])
            for i in range(begin // b, -(-end // b))
        ]
        return self.coefficient * np.concatenate(parts)

    def transposed(self) -> Kronecker:
        """Give the transposed product."""
        first, second = (tuple(x.T for x in side[::-1]) for side in (self.first, self.second))
        return replace(self, first=first, second=second)

    def absolute(self) -> Kronecker:
        """Give the product of the sizes of all that is held."""
        first, second = (
            tuple(np.abs(x.astype(np.float64)) for x in side) for side in (self.first, self.second)
        )
        return Kronecker(abs(self.coefficient), first, second)

    def wide(self) -> Kronecker:
        """Give the same with whole sides in float64."""
        return replace(self, first=(whole(self.first),), second=(whole(self.second),))

    def inner(self, other: Kronecker) -> float:
        """Give <self, other>; both have the same `splits`."""
        first = np.vdot(whole(self.first), whole(other.first))
        second = np.vdot(whole(self.second), whole(other.second))
        return float(self.coefficient * other.coefficient * first * second)

    def leading(self, rank: int) -> Leading:
        """Give the `rank` largest singular triples, exactly, from the sides' own."""
        U1, s1, V1 = np.linalg.svd(whole(self.first), full_matrices=False)
        U2, s2, V2 = np.linalg.svd(whole(self.second), full_matrices=False)
        sizes = abs(self.coefficient) * np.outer(s1, s2).reshape(-1)
        sizes[sizes <= _ROUNDING * sizes.max()] = 0.0
        order = np.argsort(-sizes, kind="stable")
        i, j = np.divmod(order[:rank], len(s2))
        U = columns_of(U1[:, i], U2[:, j]) * math.copysign(1.0, self.coefficient)
        return Leading(U, sizes[order[:rank]], columns_of(V1[i].T, V2[j].T), sizes[order[rank:]])

    def _formed(self) -> Term:
        first, second = _factors(self.first), _factors(self.second)
        if first.rank * second.rank > min(self.shape):
            B, A = from_dense(np.kron(whole(self.first), whole(self.second)))
            return Term(self.coefficient, B, A)
        return Term(self.coefficient, np.kron(first.B, second.B), np.kron(first.A, second.A))


def rearranged(terms: Terms) -> Terms | None:
    """Give terms of the same size, and inner products, as a sum of products of one split.

    sum_k c_k W1_k (x) W2_k has the entries of sum_k c_k vec(W1_k) vec(W2_k)^T in another order, and
    that is of low rank (Van Loan and Pitsianis 1993). None where the terms are no such sum.
    """
    found = []
    splits = {term.splits if isinstance(term, Kronecker) else None for term in terms}
    for term in terms if len(splits) == 1 else ():
        if isinstance(term, Kronecker):
            B, A = whole(term.first).reshape(-1, 1), whole(term.second).reshape(1, -1)
            found.append(Term(term.coefficient, B, A))
    return tuple(found) or None


def kronecker_times(W1: Array, W2: Array, x: Array) -> Array:
    """Give (W1 (x) W2) x, (a b, k). W1: (a, c). W2: (b, d). x: (c d, k)."""
    (a, c), (b, d), k = W1.shape, W2.shape, x.shape[1]
    # The side that shrinks x most goes first; both products are of ordinary matrices.
    if b * c <= a * d:
        inner = np.matmul(W2, x.reshape(c, d, k)).reshape(c, b * k)
        return (W1 @ inner).reshape(a * b, k)
    outer = (W1 @ x.reshape(c, d * k)).reshape(a, d, k)
    return np.asarray(np.matmul(W2, outer).reshape(a * b, k))


def whole(side: Side) -> Array:
    """Form one side, float64."""
    wide = [x.astype(np.float64, copy=False) for x in side]
    return wide[0] if len(wide) == 1 else wide[0] @ wide[1]


def from_dense(weight: Array) -> tuple[Array, Array]:
    """Give a dense delta (out, columns) as B, A: itself and an identity on its smaller side."""
    rows, columns = weight.shape
    if rows <= columns:
        return np.eye(rows, dtype=weight.dtype), weight
    return weight, np.eye(columns, dtype=weight.dtype)


def exact(x: Array) -> Array:
    """Give x in the narrowest dtype in which a product of two of its values is exact.

    float16: float32, since 11 + 11 bits fit into 24; everything else: float64.
    """
    return x.astype(np.float32 if x.dtype.name == "float16" else np.float64)


def _factors(side: Side) -> Term:
    B, A = side if len(side) == 2 else from_dense(side[0])
    return Term(1.0, exact(B), exact(A))


def columns_of(x: Array, y: Array) -> Array:
    """Give the Kronecker products of the columns of x (m, k) and y (n, k): (m n, k)."""
    return (x[:, None, :] * y[None, :, :]).reshape(-1, x.shape[1])


def _shape(side: Side) -> tuple[int, int]:
    return int(side[0].shape[0]), int(side[-1].shape[1])


def _rank(side: Side) -> int:
    return int(side[1].shape[0]) if len(side) == 2 else min(_shape(side))
