"""Each question's margin as a polynomial in the task weights, and how unsure that is where.

A margin is measured without noise: at a handful of task weights its value, at some its slope. Many
polynomials pass through those. The one taken is the likeliest of a random polynomial whose terms
have the variance that they have in an analytic random function (covariance exp(r x.y): r^d over the
product of the factorials for a term of degree d), given all that was measured: values and slopes
are met, and nothing swings without a reason. What is left of that variance elsewhere is the
margin's own uncertainty, nothing where it was measured and larger the further away. How far margins
bend (r) all questions of a domain say together; how large changes are, each question for itself.
Along its own adapter a margin goes as losses do (`own_axis`), which costs one term.

This is kriging of a deterministic function with its derivatives: Sacks, Welch, Mitchell and Wynn,
Design and Analysis of Computer Experiments (Statistical Science 4, 1989); Rasmussen and Williams,
Gaussian Processes for Machine Learning (2006), sections 2.7, 5.4.1 and 9.4.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.basis import DEGREE, Basis
from superpose.landscape.choice_sample import ChoiceSample

__all__ = ["Margins", "MarginsAt"]

Array = NDArray[np.float64]

LEVEL = 10.0
"""Standard deviation of the constant beside that of the changes: nothing pulls a margin to zero."""

OWN = 3.0
"""The same of the own adapter's axis: it takes what fits it."""

BENDS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""The r that are tried."""

AWAY, BEND = 2.0, 0.25
"""Error for each other adapter at weight 1 where the own one is absent, and halfway along the own
adapter, in a question's changes. Nothing is measured there: with these two, errors at 21 weightings
of three trivia domains (24 questions each, four adapters of the embedded model) were 0.9 and 1.5
times what was foretold, where they were 2.8 and 5.0 times without."""

SPARE, MOST_TERMS = 3.0, 300
"""Terms that there are for each equation, as far as that takes no more than so many."""

RANK = 1e-8
"""Singular values below that share of the largest are none."""


class MarginsAt(NamedTuple):
    """Margins of Q questions at S task weights, (S, Q), in nats, and their standard errors."""

    margin: Array
    error: Array


@dataclass(frozen=True, eq=False)
class Margins:
    """The margins of Q questions, whose polynomials have C terms.

    basis: the terms, and the own adapter's axis. sizes: (C,), standard deviation of each term's
    coefficient before anything is measured. seen: (E, C), orthonormal: what of the terms, in their
    sizes, was measured. shares: (E, Q), what each question's margin has of that.
    """

    basis: Basis
    sizes: Array
    seen: Array
    shares: Array

    @classmethod
    def fit(cls, sample: ChoiceSample, own: int) -> Margins:
        """Fit to what was measured, with the r under which that is likeliest.

        own: the position of the domain's own adapter.
        """
        return max((_fitted(sample, own, bend) for bend in BENDS), key=lambda found: found[1])[0]

    @property
    def scale(self) -> Array:
        """How large each question's changes are: (Q,), in nats."""
        return np.asarray(np.sqrt(np.mean(self.shares**2, axis=0)))

    def at(self, weights: Array) -> MarginsAt:
        """Give margins at (S, K) task weights."""
        terms = self.basis.features(weights) * self.sizes
        known = terms @ self.seen.T
        left = np.sum((terms - known @ self.seen) ** 2, axis=1) + self._misfit(weights)
        return MarginsAt(known @ self.shares, np.outer(np.sqrt(left), self.scale))

    def _misfit(self, weights: Array) -> Array:
        """Give the variance from a margin being no such polynomial, in its changes: (S,)."""
        assert self.basis.own is not None
        along = weights[:, self.basis.own]
        others = np.abs(weights).sum(axis=1) - np.abs(along)
        away, bend = AWAY * (1 - along) ** 2 * others, BEND * 4 * along * (1 - along)
        return np.asarray(away**2 + bend**2)


def _fitted(sample: ChoiceSample, own: int, bend: float) -> tuple[Margins, float]:
    """Give the margins for one r, and the logarithm of how likely it makes what was measured."""
    sloped = ~np.isnan(sample.slope).any(axis=(1, 2))
    equations = len(sample.points) + int(sloped.sum()) * sample.points.shape[1]
    basis = _basis(sample.points, own, equations)
    sizes = np.array([*(_size(term, bend) for term in basis.terms), OWN])
    at_slope = np.swapaxes(basis.slopes(sample.points[sloped]), 1, 2).reshape(-1, len(basis))
    system = np.concatenate([basis.features(sample.points), at_slope]) * sizes
    slopes = np.swapaxes(sample.slope[sloped], 1, 2).reshape(-1, len(sample.right))
    left, values, right = np.linalg.svd(system, full_matrices=False)
    kept = values > RANK * values[0]
    measured = np.concatenate([sample.margin, slopes])
    shares = left[:, kept].T @ measured / values[kept, None]
    # Each question's own scale, at its likeliest, is the mean of its shares' squares.
    energy = np.maximum(np.mean(shares**2, axis=0), np.finfo(float).tiny)
    likely = -len(energy) * np.log(values[kept]).sum() - len(shares) * np.log(energy).sum() / 2
    return Margins(basis, sizes, right[kept], shares), float(likely)


def _basis(points: Array, own: int, equations: int) -> Basis:
    """Give all terms up to third order or more, and the product of the weights of each point.

    Without those the values of four adapters and more, at 0 and 1, could not all be met; and with
    no more terms than equations nothing would be left to be unsure of. The own adapter's axis comes
    last.
    """
    count, degree = points.shape[1], DEGREE
    while (
        math.comb(count + degree, degree) < SPARE * equations
        and math.comb(count + degree + 1, degree + 1) <= MOST_TERMS
    ):
        degree += 1
    orders = (itertools.combinations_with_replacement(range(count), n) for n in range(degree + 1))
    sums = (tuple(np.flatnonzero(point).tolist()) for point in points)
    return Basis(count, tuple(dict.fromkeys([*itertools.chain(*orders), *sums])), own=own)


def _size(term: tuple[int, ...], bend: float) -> float:
    """Give the standard deviation of a term's coefficient, in that of the changes."""
    if not term:
        return LEVEL
    ways = math.prod(math.factorial(times) for times in Counter(term).values())
    return math.sqrt(bend ** len(term) / ways)
