"""The small model of lambda space: each domain's loss as a polynomial in the K task weights.

Quadratic in all of them, and cubic along the axes where slopes were measured at both ends: there a
value and a slope on either side fix four coefficients. The own adapter's axis has a shape of its
own (`own_axis`). What the sum of all adapters shows beyond is one coefficient of all products of
three other adapters' weights: far away, it bends nothing near the own adapter.

It meets every loss that was measured, and with what is free beside that comes as near to the slopes
as least squares do: an equality-constrained least squares problem, solved in the null space of the
values' equations (Lawson and Hanson, Solving Least Squares Problems (1974), chapter 20). The
coefficients are linear in what was measured, so each row of data has its own share in them, and the
uncertainty that comes of having few rows is exact linear algebra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.basis import Basis
from superpose.landscape.sample import Sample

__all__ = ["Polynomial", "PolynomialPrediction", "design_points"]

Array = NDArray[np.float64]

GRADIENT_WEIGHT = 0.5
"""What a slope that is missed counts beside a value that is: a step of half a task weight."""

MET = 1e-6
"""Nats an answer token by which values at one point may differ and still be one: float32 does."""

NEAR = 1e-9
"""Task weights that differ by less are the same."""

RANK = 1e-8
"""Singular values below it are none: the points and the functions at them are of order one."""

BEND = 0.08
"""Share of an adapter's gain that its own axis is unsure of, halfway from the base to it: how far
`own_axis` was off on three domains of `benchmarks/prediction`."""

AWAY, FULL = 0.4, 1.5
"""Share of an adapter's gain that a prediction is unsure of where its own is absent and the others'
weights come to `FULL` or more; of less, so much less. Nothing is measured there. Others that were
trained on the same kind of answers bring most of the gain by themselves: at weights drawn from
[0, 1.5] the own of which was below 0.15, predictions were too high by 0.4 to 0.6 of the gain (11 of
11 trivia sums of `benchmarks/second`, seeds 0 and 1). Where domains have less in common it is too
much: one other alone was off by 0.13 (root mean square), two by 0.3, on test rows of the demo and
of `studies/smollm2.yaml`, seed 0."""

CROSS = 0.5
"""Share of what several other adapters do together that a prediction is unsure of. It is foretold
from slopes at one other adapter alone, and what came of it on calibration rows was a third (0.1 to
0.5, and once nearly all): 15 sums of three and four of `benchmarks/second`, two domains, seed 0,
where half intervals without this had to be up to 15 times as wide. It was 0.4 until sums of three
of six were counted on two seeds, of which 88 % were held. `benchmarks/second/coverage.py` counts
how often intervals hold, with these shares and as they were before."""


class PolynomialPrediction(NamedTuple):
    """Predicted nats an answer token at S task weights, each (S,), with its standard errors.

    sampling: from having these rows and not others. misfit: from the loss being no such polynomial.
    """

    nll: Array
    sampling: Array
    misfit: Array

    @property
    def error(self) -> Array:
        """Both standard errors together."""
        return np.hypot(self.sampling, self.misfit)


@dataclass(frozen=True, eq=False)
class Polynomial:
    """One domain's fitted loss.

    basis: C functions of the task weights. coefficients: (C,), nats an answer token.
    row_coefficients: (R, C), each row's share, so that their sum over rows divided by the tokens is
    `coefficients`. tokens: (R,). residual: standard deviation of what the fit leaves of values and
    slopes, in nats. points: (P, K) that were measured. others: adapters whose axes are cubic. gain:
    between the base and the own adapter, in nats; 0 where no adapter is known to be the own one.
    """

    basis: Basis
    coefficients: Array
    row_coefficients: Array
    tokens: NDArray[np.int64]
    residual: float
    points: Array
    others: tuple[int, ...] = ()
    gain: float = 0.0

    @classmethod
    def fit(cls, sample: Sample, *, through: bool = True) -> Polynomial:
        """Fit to a sample: through its values, and as near to its slopes as that leaves.

        through: False asks for least squares over values too, for more of them than a polynomial of
        this shape can meet.

        Raises BadInput where its points leave a coefficient undetermined, or no such polynomial
        meets all values.
        """
        known = np.asarray(~np.isnan(sample.gradient).any(axis=(1, 2, 3)))
        basis, others = _shape(sample.points, known)
        at_slope = np.swapaxes(basis.slopes(sample.points[known]), 1, 2).reshape(-1, len(basis))
        values, slopes = basis.features(sample.points), GRADIENT_WEIGHT * at_slope
        equations = np.concatenate([values, slopes])
        if np.linalg.matrix_rank(equations, tol=RANK) < len(basis):
            raise BadInput("these points leave the loss's polynomial undetermined")
        rows = sample.gradient[known].sum(axis=2)  # (P', R, K): of all modules together
        each = np.moveaxis(rows, 1, 0).reshape(len(sample.tokens), -1)
        measured = np.concatenate([sample.nll.T, GRADIENT_WEIGHT * each], axis=1)
        solution = _through(values, slopes) if through else np.linalg.pinv(equations)
        shares = measured @ solution.T
        total = sample.tokens.sum()
        coefficients = shares.sum(axis=0) / total
        left = measured.sum(axis=0) / total - equations @ coefficients
        if through and np.abs(left[: len(values)]).max() > MET:
            raise BadInput("the values at these points contradict each other")
        residual = float(np.sqrt(np.sum(left**2) / max(1, len(left) - len(basis))))
        fitted = cls(basis, coefficients, shares, sample.tokens, residual, sample.points, others)
        if basis.own is None:
            return fitted
        alone = np.eye(basis.adapters)[basis.own]
        return replace(fitted, gain=abs(fitted.value(0 * alone) - fitted.value(alone)))

    @property
    def bend(self) -> float:
        """How unsure the own adapter's axis is halfway, in nats."""
        return BEND * self.gain

    @property
    def away(self) -> float:
        """How unsure the others' effect is without the own one, in nats."""
        return AWAY * self.gain

    @property
    def adapters(self) -> int:
        """K, the number of task weights."""
        return self.basis.adapters

    def among(self, chosen: Sequence[int]) -> Polynomial:
        """Give the loss of some adapters alone, the task weights of the others being 0.

        chosen: their positions, smallest first.
        """
        kept = list(chosen)
        basis, columns = self.basis.among(kept)
        outside = np.setdiff1d(np.arange(self.adapters), kept)
        without = (self.points[:, outside] == 0).all(axis=1)
        return Polynomial(
            basis,
            self.coefficients[columns],
            self.row_coefficients[:, columns],
            self.tokens,
            self.residual,
            self.points[without][:, kept],
            tuple(kept.index(k) for k in self.others if k in kept),
            self.gain,
        )

    @cached_property
    def _spread(self) -> Array:
        """Give what each row contributes to the coefficients' errors, (R, C), in nats.

        The coefficients are ratios of sums over rows: linearised as in Cochran, Sampling
        Techniques (1977), section 6.3.
        """
        count = len(self.tokens)
        apart = self.row_coefficients - np.outer(self.tokens, self.coefficients)
        return np.asarray(apart * np.sqrt(count / max(1, count - 1)) / self.tokens.sum())

    @property
    def covariance(self) -> Array:
        """Sampling covariance of the coefficients, (C, C): from having these rows and no others."""
        return np.asarray(self._spread.T @ self._spread)

    def value(self, weights: Array) -> float:
        """Give the predicted loss at one lambda (K,)."""
        return float(self.basis.features(weights[None])[0] @ self.coefficients)

    def gradient(self, weights: Array) -> Array:
        """Give the predicted slope at one lambda (K,): (K,)."""
        return np.asarray(self.coefficients @ self.basis.slopes(weights[None])[0])

    def predict(self, weights: Array, *, against: Array | None = None) -> PolynomialPrediction:
        """Give predictions at (S, K) task weights.

        against: (K,), predict how much more the loss is than there; what both share cancels, in
        the errors too.
        """
        wanted, misfit = self.basis.features(weights), self._misfit(weights)
        if against is not None:
            wanted = wanted - self.basis.features(against[None])
            misfit = np.hypot(misfit, self._misfit(against[None]))
        nll = wanted @ self.coefficients
        sampling = np.sqrt(np.sum((self._spread @ wanted.T) ** 2, axis=0))
        changed = np.abs(wanted).max(axis=1) > 0
        return PolynomialPrediction(nll, sampling, np.where(changed, misfit, 0.0))

    def _misfit(self, weights: Array) -> Array:
        """Give the standard error from the loss being no such polynomial, at (S, K) weights.

        None where the loss was measured. Elsewhere:
        The residual, once more for each pair of other adapters that act on each other, and a share
        of what they do together; the bend of the own adapter's axis, which is nothing at its two
        measured ends; and what the others do where the own one is absent. With the own adapter
        slopes along it are measured beside each other one, so that starts with the square of the
        own weight's distance from 1.
        """
        beside = weights[:, list(self.others)]
        squares = beside**2
        pairs = (np.sum(squares, axis=1) ** 2 - np.sum(squares**2, axis=1)) / 2
        own = self.basis.own
        along = np.zeros(len(weights)) if own is None else weights[:, own]
        bend = self.bend * 4 * along * (1 - along)
        full = np.minimum(1.0, np.abs(beside).sum(axis=1) / FULL)
        away = self.away * (1 - along) ** 2 * full
        crossing = self.basis.crossing(self.others)
        cross = CROSS * (self.basis.features(weights)[:, crossing] @ self.coefficients[crossing])
        spread: Array = np.sqrt(self.residual**2 * (1 + pairs) + bend**2 + away**2 + cross**2)
        return np.where(self.measured(weights), 0.0, spread)

    def measured(self, weights: Array) -> NDArray[np.bool_]:
        """Say of each of (S, K) task weights whether the loss was measured there: (S,)."""
        apart = np.abs(weights[:, None] - self.points[None]).max(axis=2)
        return np.asarray((apart < NEAR).any(axis=1))


def _shape(points: Array, known: NDArray[np.bool_]) -> tuple[Basis, tuple[int, ...]]:
    """Give the functions that these points determine, and the adapters whose axes are cubic.

    points: (P, K). known: (P,), where slopes were measured as well.
    """
    count = points.shape[1]
    others = _both_ends(points[known])
    basis = Basis.of(count, others, _only(set(range(count)) - set(others)))
    if not (np.count_nonzero(points[:, list(others)], axis=1) > 2).any():
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


def design_points(domain: int, adapters: int) -> tuple[Sequence[Array], Sequence[Array]]:
    """Give where to measure a domain's loss: points for slopes and values, points for values alone.

    domain: index of the domain's own adapter. Slopes at the own adapter and with each other beside
    it; values at the base and at the naive sum (for two adapters their average instead). A slope
    costs a little more than two forward passes, so all this costs about 2 K + 2 for K > 1.
    """
    own = np.eye(adapters)[domain]
    with_slope = [own, *(own + np.eye(adapters)[j] for j in range(adapters) if j != domain)]
    whole = np.ones(adapters) if adapters > 2 else np.full(adapters, 0.5)
    return with_slope, [np.zeros(adapters), whole]
