"""The small model of lambda space: each domain's loss as a polynomial in the K task weights.

Quadratic in all of them, and cubic along the axes where slopes were measured at both ends: there a
value and a slope on either side fix four coefficients. The own adapter's axis has a shape of its
own (`own_axis`). What several others do together grows less the more it is (`saturation`): how
much less the sum of all adapters says. Where that shows no such thing, what it shows beyond is one
coefficient of all products of three other adapters' weights.

It meets every loss that was measured, and comes as near to the slopes as that leaves
(`fitting.py`). Each row of data has its own share in the coefficients, so the uncertainty that
comes of having few rows is linear algebra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.basis import Basis
from superpose.landscape.fitting import NEAR, System, as_one_row, far_from, without
from superpose.landscape.sample import Sample
from superpose.landscape.saturation import root_of, saturated, unsaturated

__all__ = ["Polynomial", "PolynomialPrediction"]

Array = NDArray[np.float64]

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

CROSS = 0.6
"""Share of what several other adapters do together that a prediction is unsure of. It is foretold
from slopes at one other adapter alone, and what came of it on calibration rows was a third (0.1 to
0.5, and once nearly all): 15 sums of three and four of `benchmarks/second`, two domains, seed 0,
where half intervals without this had to be up to 15 times as wide. It was 0.4 until sums of three
of six were counted on two seeds, of which 88 % were held, and 0.5 until those of three and four of
nine were: 83 and 86 %. `benchmarks/second/coverage.py` counts how often intervals hold, with these
shares and as they were before."""


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


class _Values(NamedTuple):
    """nll: (S,) predicted losses. features: (S, C). seen: (S, C), d loss / d what each comes to."""

    nll: Array
    features: Array
    seen: Array


@dataclass(frozen=True, eq=False)
class Polynomial:
    """One domain's fitted loss.

    basis: C functions of the task weights. coefficients: (C,), nats an answer token.
    row_coefficients: (R, C), each row's share, so that their sum over rows divided by the tokens is
    `coefficients`. tokens: (R,). residual: standard deviation of what the fit leaves of values and
    slopes, in nats. points: (P, K) that were measured. others: adapters whose axes are cubic. gain:
    between the base and the own adapter, in nats; 0 where no adapter is known to be the own one.
    saturation: k, in 1 / nats, of what functions of others' weights come to: 0 where that is what
    is seen of it (`saturation.py`).
    """

    basis: Basis
    coefficients: Array
    row_coefficients: Array
    tokens: NDArray[np.int64]
    residual: float
    points: Array
    others: tuple[int, ...] = ()
    gain: float = 0.0
    saturation: float = 0.0

    @classmethod
    def fit(cls, sample: Sample, *, through: bool = True, saturating: bool = True) -> Polynomial:
        """Fit to a sample: through its values, and as near to its slopes as that leaves.

        through: False asks for least squares over values too, for more of them than a polynomial of
        this shape can meet. saturating: False foretells sums of several others as it was done
        before they were seen to saturate.

        Raises BadInput where its points leave a coefficient undetermined, or no such polynomial
        meets all values.
        """
        whole = far_from(sample) if through and saturating else None
        bent = None if whole is None else cls._saturating(sample, whole)
        if bent:
            return bent
        equations = System.of(sample, through=through)
        return cls._solved(equations, sample, sample.points)

    @classmethod
    def _saturating(cls, sample: Sample, whole: int) -> Polynomial | None:
        """Fit to all but the loss of the sum of all, which says how much saturates; None: nothing.

        whole: the position of that sum.
        """
        rest = without(sample, whole)
        equations = System.of(rest)
        own = equations.basis.own
        if own is None or (at := sample.at(np.eye(len(sample.points[0]))[own])) is None:
            return None
        mean, lost = as_one_row(rest), sample.loss - sample.loss[at]
        met = lost[np.abs(sample.points[:, own] - 1) < NEAR].max()

        def bent(rows: Sample, saturation: float) -> Polynomial:
            each = unsaturated(rows, own, saturation)
            return cls._solved(equations, each, sample.points, saturation)

        def gap(saturation: float) -> float:
            return bent(mean, saturation).value(sample.points[whole]) - float(sample.loss[whole])

        saturation = root_of(gap, float(met)) if lost[whole] > 0 else None
        return None if saturation is None else bent(rest, saturation)

    @classmethod
    def _solved(
        cls, equations: System, sample: Sample, points: Array, saturation: float = 0.0
    ) -> Polynomial:
        """Solve the equations of a sample. points: all that were measured."""
        found, basis = equations.solve(sample), equations.basis
        coefficients = found.shares.sum(axis=0) / sample.tokens.sum()
        gain = 0.0
        if basis.own is not None:
            ends = basis.features(np.eye(basis.adapters)[[basis.own]] * [[0.0], [1.0]])
            gain = abs(float((ends[0] - ends[1]) @ coefficients))
        return cls(
            basis,
            coefficients,
            found.shares,
            sample.tokens,
            found.residual,
            points,
            equations.others,
            gain,
            saturation,
        )

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
            self.saturation,
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
        return float(self._at(weights[None]).nll[0])

    def gradient(self, weights: Array) -> Array:
        """Give the predicted slope at one lambda (K,): (K,)."""
        seen = self._at(weights[None]).seen[0]
        return np.asarray(seen * self.coefficients @ self.basis.slopes(weights[None])[0])

    def _at(self, weights: Array) -> _Values:
        """Give the predicted losses at (S, K) task weights, and what is seen of each function."""
        features, beside = self.basis.features(weights), self.basis.beside
        parts = features * self.coefficients
        rest, seen = saturated(parts[:, beside].sum(axis=1), self.saturation)
        each = np.where(beside, seen[:, None], 1.0)
        return _Values(parts[:, ~beside].sum(axis=1) + rest, features, each)

    def predict(self, weights: Array, *, against: Array | None = None) -> PolynomialPrediction:
        """Give predictions at (S, K) task weights.

        against: (K,), predict how much more the loss is than there; what both share cancels, in
        the errors too.
        """
        found = self._at(weights)
        return self._told(found, self._misfit(weights, found), against)

    def predict_with(
        self, weights: Array, against: Array
    ) -> tuple[PolynomialPrediction, PolynomialPrediction]:
        """Give what `predict` gives of itself, and against (K,) weights."""
        found = self._at(weights)
        misfit = self._misfit(weights, found)
        return self._told(found, misfit, None), self._told(found, misfit, against)

    def _told(self, at: _Values, misfit: Array, against: Array | None) -> PolynomialPrediction:
        nll, wanted = at.nll, at.features * at.seen
        if against is not None:
            other = self._at(against[None])
            nll, wanted = nll - other.nll, wanted - other.features * other.seen
            misfit = np.hypot(misfit, self._misfit(against[None], other))
        sampling = np.sqrt(np.sum((self._spread @ wanted.T) ** 2, axis=0))
        changed = np.abs(wanted).max(axis=1) > 0
        return PolynomialPrediction(nll, sampling, np.where(changed, misfit, 0.0))

    def _misfit(self, weights: Array, at: _Values) -> Array:
        """Give the standard error from the loss being no such polynomial, at (S, K) weights.

        at: the predictions there. Nothing where the loss was measured; elsewhere the residual, once
        more for each pair of other adapters that act on each other, and a share of what they do
        together; the bend of the own adapter's axis, which is nothing at its two measured ends; and
        what the others do where the own one is absent. With the own adapter slopes along it are
        measured beside each other one, so that starts with the square of the own weight's distance
        from 1.
        """
        beside = weights[:, list(self.others)]
        squares = beside**2
        pairs = (np.sum(squares, axis=1) ** 2 - np.sum(squares**2, axis=1)) / 2
        own = self.basis.own
        along = np.zeros(len(weights)) if own is None else weights[:, own]
        bend = self.bend * 4 * along * (1 - along)
        full = np.minimum(1.0, np.abs(beside).sum(axis=1) / FULL)
        away = self.away * (1 - along) ** 2 * full
        cross = CROSS * self._together(at)
        spread: Array = np.sqrt(self.residual**2 * (1 + pairs) + bend**2 + away**2 + cross**2)
        return np.where(self.measured(weights), 0.0, spread)

    def together(self, weights: Array) -> Array:
        """Give what several others together do at (S, K) task weights, in nats: (S,)."""
        return self._together(self._at(weights))

    def _together(self, at: _Values) -> Array:
        crossing = self.basis.crossing(self.others)
        return np.asarray((at.features * at.seen)[:, crossing] @ self.coefficients[crossing])

    def measured(self, weights: Array) -> NDArray[np.bool_]:
        """Say of each of (S, K) task weights whether the loss was measured there: (S,)."""
        found = np.zeros(len(weights), bool)
        for point in self.points:
            found |= np.abs(weights - point).max(axis=1) < NEAR
        return found
