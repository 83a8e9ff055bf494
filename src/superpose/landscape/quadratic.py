"""The small model of lambda space: each domain's loss as a quadratic in the K task weights.

L(lambda) = constant + slope . lambda + lambda . curvature . lambda / 2, fitted by least squares to
values and gradients. The coefficients are linear in what was measured, so each row of data has its
own share in them, and the uncertainty that comes of having few rows is exact linear algebra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.sample import Sample

__all__ = ["Prediction", "Quadratic", "design_points", "features"]

Array = NDArray[np.float64]

GRADIENT_WEIGHT = 0.5
"""Weight of an equation about a slope beside one about a value: a step of half a task weight."""


class Prediction(NamedTuple):
    """Predicted nats an answer token at S task weights, each (S,), with its standard errors.

    sampling: from having these rows and not others. misfit: from the loss being no quadratic.
    """

    nll: Array
    sampling: Array
    misfit: Array

    @property
    def error(self) -> Array:
        """Both standard errors together."""
        return np.hypot(self.sampling, self.misfit)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """One domain's fitted loss.

    coefficients: (C,) of `features`. row_coefficients: (R, C), each row's share, so that their sum
    over rows divided by the tokens is `coefficients`. tokens: (R,). misfit: root mean square of
    what is left of the measured values, in nats. points: (P, K) that were measured.
    """

    coefficients: Array
    row_coefficients: Array
    tokens: NDArray[np.int64]
    misfit: float
    points: Array

    @classmethod
    def fit(cls, sample: Sample) -> Quadratic:
        """Fit to a sample. Raises BadInput where its points leave the quadratic undetermined."""
        at_value = features(sample.points)
        known = ~np.isnan(sample.gradient).any(axis=(1, 2, 3))
        at_slope = _slopes(sample.points[known])
        equations = np.concatenate([at_value, GRADIENT_WEIGHT * at_slope])
        if np.linalg.matrix_rank(equations, tol=1e-8) < equations.shape[1]:
            raise BadInput("these points leave the loss's quadratic undetermined")
        rows = sample.gradient[known].sum(axis=2)  # (P', R, K): of all modules together
        slopes = np.moveaxis(rows, 1, 0).reshape(len(sample.tokens), -1)
        measured = np.concatenate([sample.nll.T, GRADIENT_WEIGHT * slopes], axis=1)
        shares = measured @ np.linalg.pinv(equations).T
        coefficients = shares.sum(axis=0) / sample.tokens.sum()
        left = sample.loss - at_value @ coefficients
        # As many values as free directions would leave nothing: slopes carry part of the fit.
        spare = max(1.0, len(left) - len(left) * equations.shape[1] / len(equations))
        misfit = float(np.sqrt(np.sum(left**2) / spare))
        return cls(coefficients, shares, sample.tokens, misfit, sample.points)

    @property
    def adapters(self) -> int:
        """K, the number of task weights."""
        return int(self.points.shape[1])

    @property
    def constant(self) -> float:
        """The loss at lambda = 0."""
        return float(self.coefficients[0])

    @property
    def slope(self) -> Array:
        """(K,): the derivative at lambda = 0."""
        return self.coefficients[1 : 1 + self.adapters]

    @property
    def curvature(self) -> Array:
        """(K, K): the second derivatives, symmetric."""
        upper = np.zeros((self.adapters, self.adapters))
        upper[np.triu_indices(self.adapters)] = self.coefficients[1 + self.adapters :]
        return upper + np.triu(upper, 1).T

    def among(self, chosen: Sequence[int]) -> Quadratic:
        """Give the loss of some adapters alone, the task weights of the others being 0.

        chosen: their positions, smallest first.
        """
        kept = list(chosen)
        k, j = np.triu_indices(self.adapters)
        squares = np.isin(k, kept) & np.isin(j, kept)
        columns = [0, *(1 + i for i in kept), *(1 + self.adapters + np.flatnonzero(squares))]
        others = np.setdiff1d(np.arange(self.adapters), kept)
        without = (self.points[:, others] == 0).all(axis=1)
        return Quadratic(
            self.coefficients[columns],
            self.row_coefficients[:, columns],
            self.tokens,
            self.misfit,
            self.points[without][:, kept],
        )

    def value(self, weights: Array) -> float:
        """Give the predicted loss at one lambda (K,)."""
        return float(features(weights[None])[0] @ self.coefficients)

    def gradient(self, weights: Array) -> Array:
        """Give the predicted slope at one lambda (K,): (K,)."""
        return self.slope + self.curvature @ weights

    def predict(self, weights: Array, *, against: Array | None = None) -> Prediction:
        """Give predictions at (S, K) task weights.

        against: (K,), predict how much more the loss is than there; what both share cancels, in
        the errors too.
        """
        wanted = features(weights)
        if against is not None:
            wanted = wanted - features(against[None])
        nll = wanted @ self.coefficients
        count, total = len(self.tokens), self.tokens.sum()
        # A ratio of sums over rows, linearised: Cochran, Sampling Techniques (1977), section 6.3.
        spread = self.row_coefficients @ wanted.T - np.outer(self.tokens, nll)
        sampling = np.sqrt(count / max(1, count - 1) * np.sum(spread**2, axis=0)) / total
        changed = np.abs(wanted[:, 1:]).max(axis=1) > 0
        misfit = np.where(changed, self.misfit * (1.0 if against is None else np.sqrt(2.0)), 0.0)
        return Prediction(nll, sampling, misfit)


def features(weights: Array) -> Array:
    """Give the monomials of (S, K) task weights: 1, lambda_k, lambda_k lambda_j with k <= j.

    A square counts half, so that the coefficients are second derivatives: (S, 1 + K + K (K+1) / 2).
    """
    k, j = np.triu_indices(weights.shape[1])
    products = weights[:, k] * weights[:, j] * np.where(k == j, 0.5, 1.0)
    return np.concatenate([np.ones((len(weights), 1)), weights, products], axis=1)


def design_points(domain: int, adapters: int) -> tuple[Sequence[Array], Sequence[Array]]:
    """Give where to measure a domain's loss: points for slopes and values, points for values alone.

    domain: index of the domain's own adapter. Slopes at the own adapter and with each other beside
    it; values at the base and at the naive sum (for two adapters their average instead). A slope
    costs about two forward passes, so all this costs 2 K + 2 for K > 1.
    """
    own = np.eye(adapters)[domain]
    with_slope = [own, *(own + np.eye(adapters)[j] for j in range(adapters) if j != domain)]
    whole = np.ones(adapters) if adapters > 2 else np.full(adapters, 0.5)
    return with_slope, [np.zeros(adapters), whole]


def _slopes(weights: Array) -> Array:
    """Give the derivatives of `features` by each task weight: (S * K, C), K rows for each point."""
    count, adapters = weights.shape
    k, j = np.triu_indices(adapters)
    rows = np.zeros((count, adapters, 1 + adapters + len(k)))
    for m in range(adapters):
        rows[:, m, 1 + m] = 1.0
        rows[:, m, 1 + adapters :] = np.where(k == j, 0.5, 1.0) * (
            (k == m) * weights[:, j] + (j == m) * weights[:, k]
        )
    return rows.reshape(count * adapters, rows.shape[2])
