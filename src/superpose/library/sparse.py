"""The fewest parents that explain a target, and how well their weights are known.

Least squares with few parents: from all that are at hand, the one that is missed least is left out
again and again, and the number is the one with the least N log(error) + k (log N + 2 log L): the
Bayesian information criterion with the choice among L adapters counted (Chen and Chen, Biometrika
95, 2008). Siblings are nearly collinear; the Gram matrix is exact, in float64, and tells them apart
as far as the target's own rounding does.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any

FLOOR = 1e-13
"""Share of the target's energy below which an error is rounding of float64."""

CAUTION = 3.0
"""How many times the criterion's penalty a parent has to be worth: rounding is no white noise."""


class Chosen(NamedTuple):
    """Parents by their positions in the equations. weights: of unit adapters. error: of 2.

    inverse: of their Gram matrix.
    """

    parents: Array
    weights: Array
    error: float
    inverse: Array


def fewest(gram: Array, right: Array, count: int, among: int) -> Chosen:
    """Choose parents. gram (p, p), right (p,): of unit adapters; the target's square is 2.

    count: N, independent numbers in the target. among: L, adapters of the library.
    """
    left = np.arange(len(right))
    price = CAUTION * (math.log(max(2, count)) + 2.0 * math.log(max(2, among)))
    best, least = Chosen(left[:0], np.zeros(0), 2.0, np.zeros((0, 0))), count * math.log(2.0)
    while len(left):
        found = solved(gram, right, left)
        worth = count * math.log(max(found.error, 2.0 * FLOOR)) + price * len(left)
        if worth < least:
            best, least = found, worth
        left = np.delete(left, _least_missed(gram[np.ix_(left, left)], found.weights))
    return best


def solved(gram: Array, right: Array, parents: Array) -> Chosen:
    """Give the weights of these parents with the least squared error."""
    own, target = gram[np.ix_(parents, parents)], right[parents]
    values, vectors = np.linalg.eigh(own)
    live = values > values[-1] * 1e-13
    inverse = (vectors[:, live] / values[live]) @ vectors[:, live].T
    weights = inverse @ target
    error = max(0.0, float(2.0 - 2.0 * weights @ target + weights @ own @ weights))
    return Chosen(parents, weights, error, inverse)


def _least_missed(gram: Array, weights: Array) -> int:
    """Give which parent's leaving raises the error least: w_i^2 over the i-th of the inverse.

    Of copies, whose Gram matrix has no inverse, the last.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, values[-1] * 1e-13)
    inverse = np.einsum("ij,j,ij->i", vectors, 1.0 / values, vectors)
    missed = weights**2 / inverse
    return len(missed) - 1 - int(np.argmin(missed[::-1]))
