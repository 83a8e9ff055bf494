"""The equations of a domain's loss: through its values, and as near to its slopes as that leaves.

An equality-constrained least squares problem, solved in the null space of the values' equations
(Lawson and Hanson, Solving Least Squares Problems (1974), chapter 20). The coefficients are linear
in what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.basis import DEGREE, Basis
from superpose.landscape.sample import Sample

__all__ = ["NEAR", "Solution", "System", "as_one_row", "far_from", "without"]

Array = NDArray[np.float64]

GRADIENT_WEIGHT = 0.5
"""What a slope that is missed counts beside a value that is: a step of half a task weight."""

MET = 1e-6
"""Nats an answer token by which values at one point may differ and still be one: float32 does."""

NEAR = 1e-9
"""Task weights that differ by less are the same."""

RANK = 1e-8
"""Singular values below it are none: the points and the functions at them are of order one."""


class Solution(NamedTuple):
    """What the equations give.

    shares: (R, C), each row's in the coefficients, so that their sum over rows divided by the
    tokens is these. residual: standard deviation of what is left of values and slopes, in nats.
    """

    shares: Array
    residual: float


@dataclass(frozen=True, eq=False)
class System:
    """What values at P points, and slopes at some of them, say of C coefficients.

    basis: the functions that the points determine. others: adapters whose axes are cubic. known:
    (P,), where slopes are. left: (P + Q, C). inverse: (C, P + Q), which gives the coefficients.
    through: whether the values are met.
    """

    basis: Basis
    others: tuple[int, ...]
    known: NDArray[np.bool_]
    left: Array
    inverse: Array
    through: bool

    @classmethod
    def of(cls, sample: Sample, *, through: bool = True) -> System:
        """Set them up for a sample's points. Raises BadInput where they leave one undetermined."""
        known = _known(sample)
        basis, others = _shape(sample.points, known)
        at_slope = np.swapaxes(basis.slopes(sample.points[known]), 1, 2).reshape(-1, len(basis))
        values, slopes = basis.features(sample.points), GRADIENT_WEIGHT * at_slope
        left = np.concatenate([values, slopes])
        if np.linalg.matrix_rank(left, tol=RANK) < len(basis):
            raise BadInput("these points leave the loss's polynomial undetermined")
        inverse = _through(values, slopes) if through else np.linalg.pinv(left)
        return cls(basis, others, known, left, inverse, through)

    def solve(self, sample: Sample) -> Solution:
        """Solve them for a sample of these points. Raises BadInput where no value can be met."""
        rows = sample.gradient[self.known].sum(axis=2)  # (P', R, K): of all modules together
        each = np.moveaxis(rows, 1, 0).reshape(len(sample.tokens), -1)
        measured = np.concatenate([sample.nll.T, GRADIENT_WEIGHT * each], axis=1)
        shares = measured @ self.inverse.T
        total = sample.tokens.sum()
        missed = (measured.sum(axis=0) - self.left @ shares.sum(axis=0)) / total
        if self.through and np.abs(missed[: len(sample.points)]).max() > MET:
            raise BadInput("the values at these points contradict each other")
        free = max(1, len(missed) - len(self.basis))
        return Solution(shares, float(np.sqrt(np.sum(missed**2) / free)))


def far_from(sample: Sample) -> int | None:
    """Give the position of the one point at which more than two others take part, if it is one.

    Its loss, and nothing else of that many others, says how much what they do saturates. None where
    slopes were measured there too.
    """
    known = _known(sample)
    others = list(_both_ends(sample.points[known]))
    far = np.flatnonzero(np.count_nonzero(sample.points[:, others], axis=1) >= DEGREE)
    return int(far[0]) if len(far) == 1 and not known[far[0]] else None


def without(sample: Sample, place: int) -> Sample:
    """Give all that was measured but at one point."""
    points, nll, gradient = (
        np.delete(values, place, axis=0) for values in (sample.points, sample.nll, sample.gradient)
    )
    return replace(sample, points=points, nll=nll, gradient=gradient)


def as_one_row(sample: Sample) -> Sample:
    """Give the losses and slopes of all rows as those of one row of one token."""
    slopes = sample.slope[:, None, None, :]
    one = np.ones(1, dtype=np.int64)
    return Sample(sample.points, sample.loss[:, None], slopes, one, ("all",))


def _known(sample: Sample) -> NDArray[np.bool_]:
    """Say at which points slopes were measured: (P,)."""
    return np.asarray(~np.isnan(sample.gradient).any(axis=(1, 2, 3)))


def _shape(points: Array, known: NDArray[np.bool_]) -> tuple[Basis, tuple[int, ...]]:
    """Give the functions that these points determine, and the adapters whose axes are cubic.

    points: (P, K). known: (P,), where slopes were measured as well.
    """
    count = points.shape[1]
    others = _both_ends(points[known])
    basis = Basis.of(count, others, _only(set(range(count)) - set(others)))
    if not (np.count_nonzero(points[:, list(others)], axis=1) >= DEGREE).any():
        basis = replace(basis, triples=())  # no point tells of three others together
    return basis, others


def _through(values: Array, slopes: Array) -> Array:
    """Give the matrix (C, P + Q) that makes coefficients of P measured values and Q slopes.

    values, slopes: (P, C) and (Q, C), what they are of the coefficients. The values are met; what
    is free in their null space, N, is the least squares solution of the slopes' equations there:
    V+ v + N (G N)+ (g - G V+ v).
    """
    left, sizes, right = np.linalg.svd(values)
    rank = int(np.sum(sizes > RANK))
    met = right[:rank].T / sizes[:rank] @ left[:, :rank].T
    free = right[rank:].T
    rest = free @ np.linalg.pinv(slopes @ free)
    found: Array = np.hstack([met - rest @ slopes @ met, rest])
    return found


def _both_ends(points: Array) -> tuple[int, ...]:
    """Give the axes along which two of the points, (P, K), lie."""
    apart = points[:, None] != points[None]
    return tuple(np.flatnonzero(apart[apart.sum(axis=2) == 1].any(axis=0)).tolist())


def _only(adapters: set[int]) -> int | None:
    return next(iter(adapters)) if len(adapters) == 1 else None
