"""The second moment of a module's inputs, whole or as a sketch, and what is solved with it.

C = sum over tokens of x x^T / tokens, (d, d). A sketch keeps some directions and the mean of the
rest: C ~ V diag(values) V^T + rest (I - V V^T), whose sums are inverted in the space of the kept
directions (Woodbury), so that nothing of d x d is formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.lowrank.randomised import range_of

__all__ = ["SecondMoment", "regressed"]

Array: TypeAlias = NDArray[Any]


SINGULAR = 1e-10
"""Share of its largest eigenvalue up to which a matrix's smallest is the rounding of zero."""


@dataclass(frozen=True, eq=False)
class SecondMoment:
    """The second moment of one module's inputs over tokens, positive semidefinite.

    vectors (d, m): orthonormal columns. values (m,): the moment along each, the largest first.
    rest: the mean moment of the d - m other directions. whole (d, d): the matrix itself, in place
    of a sketch; then there are no vectors.
    """

    vectors: Array
    values: Array
    rest: float = 0.0
    whole: Array | None = None

    @classmethod
    def of(cls, matrix: Array) -> SecondMoment:
        """Hold a matrix (d, d) as it is."""
        return cls(np.zeros((len(matrix), 0)), np.zeros(0), 0.0, matrix)

    @property
    def size(self) -> int:
        """d, the module's inputs."""
        return len(self.vectors)

    @cached_property
    def trace(self) -> float:
        """The mean squared length of an input."""
        if self.whole is not None:
            return float(np.trace(self.whole))
        return float(self.values.sum(dtype=np.float64)) + self.rest * (self.size - len(self.values))

    @cached_property
    def strongest(self) -> float:
        """At least the largest eigenvalue, and at most the trace."""
        if self.whole is not None:
            return self.trace
        return max(self.rest, float(self.values.max(initial=0.0)))

    def times(self, A: Array) -> Array:
        """Give A C, (r, d). A: (r, d)."""
        if self.whole is not None:
            return np.asarray(A @ self.whole)
        return self.rest * A + (A @ self.vectors) * (self.values - self.rest) @ self.vectors.T

    def between(self, basis: Array) -> SecondMoment:
        """Give V^T C V, (m, m). basis: V (d, m), orthonormal columns."""
        found = self.times(basis.T) @ basis
        return SecondMoment.of((found + found.T) / 2)

    def sketched(self, directions: int) -> SecondMoment:
        """Keep the strongest directions, and of the others their mean."""
        if self.whole is None:
            kept = min(directions, len(self.values))
            left = self.trace - float(self.values[:kept].sum(dtype=np.float64))
            rest = left / (self.size - kept) if self.size > kept else 0.0
            return SecondMoment(self.vectors[:, :kept], self.values[:kept], max(0.0, rest))
        directions = min(directions, self.size)
        values, vectors = _strongest(self.whole, directions)
        left = max(0.0, self.trace - float(values.sum()))
        return SecondMoment(vectors, values, left / max(1, self.size - directions))


def _strongest(C: Array, count: int) -> tuple[Array, Array]:
    """Give the largest eigenvalues (count,) and their vectors (d, count), the largest first.

    Few of many are found in a random range (`range_of`), 30 times quicker at d = 1,536.
    """
    if 4 * count < len(C):
        Q = range_of(lambda x: C @ x, lambda x: C @ x, (len(C), len(C)), count)
        values, turn = np.linalg.eigh(Q.T @ C @ Q)
        vectors = Q @ turn
    else:
        values, vectors = np.linalg.eigh(C)
    return np.maximum(values[::-1][:count], 0.0), vectors[:, ::-1][:, :count]


def regressed(rows: Sequence[Array], moments: Sequence[SecondMoment], ridge: float) -> list[Array]:
    """Give A_k C_k (sum_j C_j + eps I)^-1 for each k, (r_k, d), float64.

    rows: A_k (r_k, d). moments: C_j, at least one of them not zero; those of k = 0, 1, ... come
    first, and further ones count in the sum alone. ridge: eps by the mean of the sum's diagonal.

    It is the A of the delta that minimises sum_j |(dW - dW_j) X_j|^2 (RegMean: Jin et al., arXiv
    2212.09849), whose B are the adapters' own.
    """
    size = moments[0].size
    eps = ridge * sum(moment.trace for moment in moments) / size
    tops = [m.times(np.asarray(A, np.float64)) for A, m in zip(rows, moments, strict=False)]
    return np.split(_solved(np.vstack(tops), moments, eps), np.cumsum([len(t) for t in tops])[:-1])


def _solved(y: Array, moments: Sequence[SecondMoment], eps: float) -> Array:
    """Give y (sum_j C_j + eps I)^-1. y: (r, d). Raises LinAlgError where that is singular."""
    size = moments[0].size
    strongest = max(moment.strongest for moment in moments)
    if any(m.whole is not None for m in moments) or sum(len(m.values) for m in moments) >= size:
        total = np.zeros((size, size))
        for moment in moments:
            total += moment.times(np.eye(size)) if moment.whole is None else moment.whole
        total.flat[:: size + 1] += eps
        if eps < SINGULAR * strongest:
            _check_regular(float(np.linalg.eigvalsh(total)[0]), strongest)
        return np.asarray(np.linalg.solve(total, y.T).T)
    level = sum(moment.rest for moment in moments) + eps
    _check_regular(level, strongest)
    V = np.hstack([moment.vectors for moment in moments]).astype(np.float64)
    excess = np.concatenate([moment.values - moment.rest for moment in moments])
    # (V D V^T + l I)^-1 = (I - V (l I + D V^T V)^-1 D V^T) / l: D may hold zeros.
    inner = level * np.eye(len(excess)) + excess[:, None] * (V.T @ V)
    low = np.linalg.solve(inner.T, (y @ V).T).T * excess
    return np.asarray((y - low @ V.T) / level)


def _check_regular(smallest: float, largest: float) -> None:
    if smallest <= SINGULAR * largest:
        raise np.linalg.LinAlgError("singular")
