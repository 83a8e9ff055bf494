"""What a domain's loss is made of in lambda space: products of task weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Basis"]

Array = NDArray[np.float64]

DEGREE = 3


@dataclass(frozen=True)
class Basis:
    """C functions of K task weights: monomials, and at the end one sum of many.

    terms: monomials, as positions of the task weights that are multiplied; () is the constant.
    triples: adapters whose products of three different weights have one
    coefficient together; none where fewer than three are given.
    """

    adapters: int
    terms: tuple[tuple[int, ...], ...]
    triples: tuple[int, ...] = ()

    @classmethod
    def of(cls, adapters: int, cubic: Iterable[int] = ()) -> Basis:
        """Give everything up to second order, and third order among `cubic`, as far as it is known.

        The constant, each weight, products of two, cubes of `cubic`: 1 + K + K (K+1) / 2 + cubes;
        and their products of three.
        """
        each, known = range(adapters), tuple(cubic)
        products = itertools.combinations_with_replacement(each, 2)
        terms = ((), *((k,) for k in each), *products, *((k, k, k) for k in known))
        return cls(adapters, terms, known if len(known) >= DEGREE else ())

    def __len__(self) -> int:
        return len(self.terms) + bool(self.triples)

    def features(self, weights: Array) -> Array:
        """Give the C functions at (S, K) task weights: (S, C)."""
        padded, places = self._padded(weights)
        found = np.empty((len(self), len(weights)))
        _product(padded, places, out=found[: len(self.terms)])
        if self.triples:
            x = padded[list(self.triples)]
            one, two, three = (np.sum(x**power, axis=0) for power in (1, 2, 3))
            # Newton's identity for the elementary symmetric polynomial.
            found[-1] = (one**3 - 3 * one * two + 2 * three) / 6
        return found.T

    def slopes(self, weights: Array) -> Array:
        """Give the derivatives of the C functions by each weight at (S, K): (S, C, K)."""
        padded, places = self._padded(weights)
        found = np.zeros((len(weights), len(self), self.adapters + 1))
        for position in range(DEGREE):
            # The product rule: each factor of a monomial differentiated once, the others left.
            rest = _product(padded, np.delete(places, position, axis=1)).T
            found[:, np.arange(len(self.terms)), places[:, position]] += rest
        if self.triples:
            x = weights[:, self.triples]
            one = x.sum(axis=1, keepdims=True)
            two = (one**2 - np.sum(x**2, axis=1, keepdims=True)) / 2
            found[:, -1, self.triples] = two - x * (one - x)
        return found[:, :, :-1]

    def among(self, chosen: Sequence[int]) -> tuple[Basis, list[int]]:
        """Give the basis in the weights of some adapters, the others being 0, and its columns."""
        place = {adapter: position for position, adapter in enumerate(chosen)}
        columns = [c for c, term in enumerate(self.terms) if place.keys() >= set(term)]
        terms = tuple(tuple(place[k] for k in self.terms[c]) for c in columns)
        triples = tuple(place[k] for k in self.triples if k in place)
        if len(triples) < DEGREE:
            return Basis(len(place), terms), columns
        return Basis(len(place), terms, triples), [*columns, len(self.terms)]

    def _padded(self, weights: Array) -> tuple[Array, NDArray[np.int64]]:
        """Give weights with a row of ones, (K + 1, S), and terms as (C, DEGREE) rows of it.

        The last row stands for factors that a monomial does not have.
        """
        places = np.full((len(self.terms), DEGREE), self.adapters)
        for c, term in enumerate(self.terms):
            places[c, : len(term)] = term
        return np.vstack([weights.T, np.ones(len(weights))]), places


def _product(padded: Array, places: NDArray[np.int64], out: Array | None = None) -> Array:
    """Multiply the rows of (K + 1, S) that each row of (C, F) names: (C, S)."""
    first, *more = places.T
    found = np.take(padded, first, axis=0, out=out)
    for column in more:
        found *= padded[column]
    return found
