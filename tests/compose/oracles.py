"""The definitions of the merge methods, in dense float64 NumPy, written from the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

Dense = dict[str, np.ndarray]
Oracle = Callable[[Sequence[Dense], Sequence[float]], Dense]
Matrices = list[np.ndarray]
Rule = Callable[[Matrices], np.ndarray]


def weighted(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
    """The sum, by its definition, over the union of the modules."""
    total: Dense = {}
    for part, weight in zip(parts, weights, strict=True):
        for module, delta in part.items():
            total[module] = total.get(module, 0.0) + weight * delta
    return total


def by_module(rule: Rule) -> Oracle:
    """A method whose result in a module is that of the weighted deltas there that are not zero."""

    def merged(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
        found = {}
        for module, total in weighted(parts, weights).items():
            pairs = zip(parts, weights, strict=True)
            there = [w * part[module] for part, w in pairs if module in part]
            there = [each for each in there if each.any()]
            found[module] = rule(there) if there else 0.0 * total
        return found

    return merged


def truncated(parts: Sequence[Dense], weights: Sequence[float], rank: int) -> Dense:
    """The sum's leading singular triples (Eckart and Young 1936), by NumPy."""
    return cut(weighted(parts, weights), rank)


def cut(deltas: Dense, rank: int) -> Dense:
    """Each matrix's leading singular triples."""
    found = {}
    for module, delta in deltas.items():
        U, s, Vt = np.linalg.svd(delta, full_matrices=False)
        found[module] = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    return found


def average(parts: Sequence[Dense], weights: Sequence[float]) -> Dense:
    """The weighted mean; a module that is not there counts as zero."""
    return weighted(parts, [w / sum(weights) for w in weights])


def equal_norm(there: Matrices) -> np.ndarray:
    """The sum, at the mean norm of what is added."""
    total = sum(there)
    return total * np.mean([np.linalg.norm(x) for x in there]) / np.linalg.norm(total)


def elected(kept: Matrices) -> np.ndarray:
    """Of each entry the mean over those of the sign that the sum has."""
    stacked = np.stack(kept)
    agrees = np.sign(stacked) == np.sign(stacked.sum(axis=0))
    agrees &= stacked != 0.0
    return np.where(agrees, stacked, 0.0).sum(axis=0) / np.maximum(agrees.sum(axis=0), 1)


def ties(density: float) -> Rule:
    """Trim, elect, average."""

    def trimmed(x: np.ndarray) -> np.ndarray:
        order = np.argsort(-np.abs(x), axis=None)[: round(density * x.size)]
        found = np.zeros(x.size)
        found[order] = x.reshape(-1)[order]
        return found.reshape(x.shape)

    return lambda there: elected([trimmed(x) for x in there])


def elected_of_draws(probability: Callable[[np.ndarray], np.ndarray]) -> Rule:
    """The expectation of `elected` over all draws, of which each entry has 2^K."""

    def expected(there: Matrices) -> np.ndarray:
        shares = [probability(x) for x in there]
        found = np.zeros(there[0].shape)
        for drawn in product((False, True), repeat=len(there)):
            chance = np.ones(found.shape)
            for p, keep in zip(shares, drawn, strict=True):
                chance *= p if keep else 1.0 - p
            kept = [keep * x / p for x, p, keep in zip(there, shares, drawn, strict=True)]
            found += chance * elected(kept)
        return found

    return expected


def della_probability(density: float, epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    """In each row linear in the place that an entry has by magnitude."""

    def of(x: np.ndarray) -> np.ndarray:
        found = np.empty(x.shape)
        for row, values in enumerate(np.abs(x)):
            for column, value in enumerate(values):
                share = np.sum(values < value) / (len(values) - 1)
                found[row, column] = density - epsilon + 2.0 * epsilon * share
        return found

    return of
