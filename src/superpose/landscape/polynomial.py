"""The small model of lambda space: each domain's loss as a polynomial in the K task weights.

Quadratic in all of them, and cubic along the axes where slopes were measured at both ends: there a
value and a slope on either side fix four coefficients, so a pair's loss is met where it was
measured. Fitted by least squares to values and gradients; the coefficients are linear in what was
measured, so each row of data has its own share in them, and the uncertainty that comes of having
few rows is exact linear algebra.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.sample import Sample

__all__ = ["Polynomial", "Prediction", "Term", "design_points", "features", "slopes", "terms"]

Array = NDArray[np.float64]
Term: TypeAlias = tuple[int, ...]
"""A monomial: the task weights that are multiplied, by position; () is the constant."""

DEGREE = 3
GRADIENT_WEIGHT = 0.5
"""Weight of an equation about a slope beside one about a value: a step of half a task weight."""


class Prediction(NamedTuple):
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

    terms: C monomials. coefficients: (C,), nats an answer token. row_coefficients: (R, C), each
    row's share, so that their sum over rows divided by the tokens is `coefficients`. tokens: (R,).
    misfit: root mean square of what is left of the measured values, in nats. points: (P, K) that
    were measured.
    """

    terms: tuple[Term, ...]
    coefficients: Array
    row_coefficients: Array
    tokens: NDArray[np.int64]
    misfit: float
    points: Array

    @classmethod
    def fit(cls, sample: Sample) -> Polynomial:
        """Fit to a sample. Raises BadInput where its points leave a coefficient undetermined."""
        known = ~np.isnan(sample.gradient).any(axis=(1, 2, 3))
        monomials = terms(sample.points.shape[1], _both_ends(sample.points[known]))
        at_value = features(sample.points, monomials)
        at_slope = np.swapaxes(slopes(sample.points[known], monomials), 1, 2)
        at_slope = at_slope.reshape(-1, len(monomials))
        equations = np.concatenate([at_value, GRADIENT_WEIGHT * at_slope])
        if np.linalg.matrix_rank(equations, tol=1e-8) < equations.shape[1]:
            raise BadInput("these points leave the loss's polynomial undetermined")
        rows = sample.gradient[known].sum(axis=2)  # (P', R, K): of all modules together
        measured_slopes = np.moveaxis(rows, 1, 0).reshape(len(sample.tokens), -1)
        measured = np.concatenate([sample.nll.T, GRADIENT_WEIGHT * measured_slopes], axis=1)
        shares = measured @ np.linalg.pinv(equations).T
        coefficients = shares.sum(axis=0) / sample.tokens.sum()
        left = sample.loss - at_value @ coefficients
        # As many values as free directions would leave nothing: slopes carry part of the fit.
        spare = max(1.0, len(left) - len(left) * equations.shape[1] / len(equations))
        misfit = float(np.sqrt(np.sum(left**2) / spare))
        return cls(monomials, coefficients, shares, sample.tokens, misfit, sample.points)

    @property
    def adapters(self) -> int:
        """K, the number of task weights."""
        return int(self.points.shape[1])

    def among(self, chosen: Sequence[int]) -> Polynomial:
        """Give the loss of some adapters alone, the task weights of the others being 0.

        chosen: their positions, smallest first.
        """
        place = {adapter: position for position, adapter in enumerate(chosen)}
        columns = [c for c, term in enumerate(self.terms) if place.keys() >= set(term)]
        others = np.setdiff1d(np.arange(self.adapters), list(chosen))
        without = (self.points[:, others] == 0).all(axis=1)
        return Polynomial(
            tuple(tuple(place[k] for k in self.terms[c]) for c in columns),
            self.coefficients[columns],
            self.row_coefficients[:, columns],
            self.tokens,
            self.misfit,
            self.points[without][:, list(chosen)],
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
        return float(features(weights[None], self.terms)[0] @ self.coefficients)

    def gradient(self, weights: Array) -> Array:
        """Give the predicted slope at one lambda (K,): (K,)."""
        return np.asarray(self.coefficients @ slopes(weights[None], self.terms)[0])

    def predict(self, weights: Array, *, against: Array | None = None) -> Prediction:
        """Give predictions at (S, K) task weights.

        against: (K,), predict how much more the loss is than there; what both share cancels, in
        the errors too.
        """
        wanted = features(weights, self.terms)
        if against is not None:
            wanted = wanted - features(against[None], self.terms)
        nll = wanted @ self.coefficients
        sampling = np.sqrt(np.sum((self._spread @ wanted.T) ** 2, axis=0))
        changed = np.abs(wanted[:, 1:]).max(axis=1) > 0
        misfit = np.where(changed, self.misfit * (1.0 if against is None else np.sqrt(2.0)), 0.0)
        return Prediction(nll, sampling, misfit)


def terms(adapters: int, cubic: Sequence[int] = ()) -> tuple[Term, ...]:
    """Give the monomials up to second order in K task weights, and the cubes of some.

    The constant first, then each weight, products of two, cubes: 1 + K + K (K+1) / 2 + cubes.
    """
    each = range(adapters)
    products = itertools.combinations_with_replacement(each, 2)
    return ((), *((k,) for k in each), *products, *((k, k, k) for k in cubic))


def _both_ends(points: Array) -> list[int]:
    """Give the axes along which two of the points, (P, K), lie."""
    apart = points[:, None] != points[None]
    return np.flatnonzero(apart[apart.sum(axis=2) == 1].any(axis=0)).tolist()


def features(weights: Array, monomials: Sequence[Term]) -> Array:
    """Give the value of C monomials at (S, K) task weights: (S, C)."""
    padded, places = _padded(weights, monomials)
    return np.asarray(np.prod([padded[:, column] for column in places.T], axis=0))


def slopes(weights: Array, monomials: Sequence[Term]) -> Array:
    """Give the derivatives of C monomials by each task weight at (S, K) of them: (S, C, K)."""
    padded, places = _padded(weights, monomials)
    found = np.zeros((len(weights), len(monomials), padded.shape[1]))
    for position in range(DEGREE):
        others = np.delete(places, position, axis=1)
        # The product rule: each factor of a monomial differentiated once, the others as they are.
        rest = np.prod([padded[:, column] for column in others.T], axis=0)
        found[:, np.arange(len(monomials)), places[:, position]] += rest
    return found[:, :, :-1]


def _padded(weights: Array, monomials: Sequence[Term]) -> tuple[Array, NDArray[np.int64]]:
    """Give weights with a column of ones, (S, K + 1), and monomials as (C, DEGREE) columns of it.

    The last column stands for factors that a monomial does not have.
    """
    one = weights.shape[1]
    places = np.full((len(monomials), DEGREE), one)
    for c, term in enumerate(monomials):
        places[c, : len(term)] = term
    return np.concatenate([weights, np.ones((len(weights), 1))], axis=1), places


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
