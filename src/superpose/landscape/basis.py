"""What a domain's loss is made of in lambda space: products of task weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEGREE", "OWN_SQUARE", "Basis", "own_axis"]

Array = NDArray[np.float64]

DEGREE = 3

OWN_SQUARE = 0.25
"""What a square has of the own adapter's axis; the rest has a fourth power.

From the base to its own adapter a loss falls faster at first than a parabola: with a quarter, it is
met to 0.09 of the gain at half the weight and to 0.04 at three quarters, where the parabola is off
by up to 0.23 and 0.08 (calibration rows of three domains of `benchmarks/prediction`).
"""


@dataclass(frozen=True)
class Basis:
    """C functions of K task weights: monomials, and at the end up to two that are none.

    terms: monomials, as positions of the task weights that are multiplied; () is the constant.
    triples: adapters whose products of three different weights have one
    coefficient together; none where fewer than three are given. own: the domain's own adapter,
    whose square is replaced by `own_axis`.
    """

    adapters: int
    terms: tuple[tuple[int, ...], ...]
    triples: tuple[int, ...] = ()
    own: int | None = None

    @classmethod
    def of(cls, adapters: int, cubic: Iterable[int] = (), own: int | None = None) -> Basis:
        """Give everything up to second order, and third order among `cubic`, as far as it is known.

        The constant, each weight, products of two, cubes of `cubic`: 1 + K + K (K+1) / 2 + cubes;
        their products of three; and for the square of `own` its axis.
        """
        each, known = range(adapters), tuple(cubic)
        products = (
            two for two in itertools.combinations_with_replacement(each, 2) if two != (own, own)
        )
        terms = ((), *((k,) for k in each), *products, *((k, k, k) for k in known))
        return cls(adapters, terms, known if len(known) >= DEGREE else (), own)

    def __len__(self) -> int:
        return len(self.terms) + bool(self.triples) + (self.own is not None)

    def features(self, weights: Array) -> Array:
        """Give the C functions at (S, K) task weights: (S, C)."""
        padded = _padded(weights)
        found = np.empty((len(self), len(weights)))
        _product(padded, self._places, out=found[: len(self.terms)])
        if self.triples:
            x = padded[list(self.triples)]
            one, two, three = (np.sum(x**power, axis=0) for power in (1, 2, 3))
            # Newton's identity for the elementary symmetric polynomial.
            found[len(self.terms)] = (one**3 - 3 * one * two + 2 * three) / 6
        if self.own is not None:
            found[-1] = own_axis(padded[self.own])
        return found.T

    def slopes(self, weights: Array) -> Array:
        """Give the derivatives of the C functions by each weight at (S, K): (S, C, K)."""
        padded, places = _padded(weights), self._places
        found = np.zeros((len(weights), len(self), self.adapters + 1))
        for position in range(places.shape[1]):
            # The product rule: each factor of a monomial differentiated once, the others left.
            rest = _product(padded, np.delete(places, position, axis=1)).T
            found[:, np.arange(len(self.terms)), places[:, position]] += rest
        if self.triples:
            x = weights[:, self.triples]
            one = x.sum(axis=1, keepdims=True)
            two = (one**2 - np.sum(x**2, axis=1, keepdims=True)) / 2
            found[:, len(self.terms), self.triples] = two - x * (one - x)
        if self.own is not None:
            left = 1 - weights[:, self.own]
            found[:, -1, self.own] = -2 * OWN_SQUARE * left - 4 * (1 - OWN_SQUARE) * left**3
        return found[:, :, :-1]

    def crossing(self, others: Iterable[int]) -> list[int]:
        """Give the columns of what several of `others` do together: products of different ones."""
        beside = set(others)
        columns = [
            c for c, term in enumerate(self.terms)
            if len(term) > 1 and len(set(term)) == len(term) and beside >= set(term)
        ]  # fmt: skip
        return [*columns, len(self.terms)] if self.triples else columns

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Says of each column whether another weight than `own`'s is in it: (C,)."""
        monomials = [any(k != self.own for k in term) for term in self.terms]
        return np.array(
            [*monomials, *[True] * bool(self.triples), *[False] * (self.own is not None)]
        )

    def among(self, chosen: Sequence[int]) -> tuple[Basis, list[int]]:
        """Give the basis in the weights of some adapters, the others being 0, and its columns."""
        place = {adapter: position for position, adapter in enumerate(chosen)}
        columns = [c for c, term in enumerate(self.terms) if place.keys() >= set(term)]
        terms = tuple(tuple(place[k] for k in self.terms[c]) for c in columns)
        triples = tuple(place[k] for k in self.triples if k in place)
        if len(triples) < DEGREE:
            triples = ()
        else:
            columns.append(len(self.terms))
        own = None if self.own is None else place.get(self.own)
        if own is not None:
            columns.append(len(self) - 1)
        return Basis(len(place), terms, triples, own), columns

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Give each term as rows of padded weights, (C, degree): the last for factors it lacks."""
        degree = max(DEGREE, *map(len, self.terms))
        places = np.full((len(self.terms), degree), self.adapters)
        for c, term in enumerate(self.terms):
            places[c, : len(term)] = term
        return places


def _padded(weights: Array) -> Array:
    """Give (S, K) weights as columns, with a row of ones: (K + 1, S)."""
    return np.vstack([weights.T, np.ones(len(weights))])


def own_axis(x: Array) -> Array:
    """Give the curved part of a loss along its own adapter's weight: 0 at the base, -1 at 1."""
    square = (1 - x) ** 2
    return OWN_SQUARE * (square - 1) + (1 - OWN_SQUARE) * (square**2 - 1)


def _product(padded: Array, places: NDArray[np.int64], out: Array | None = None) -> Array:
    """Multiply the rows of (K + 1, S) that each row of (C, F) names: (C, S)."""
    first, *more = places.T
    found = np.take(padded, first, axis=0, out=out)
    for column in more:
        found *= padded[column]
    return found
