"""Mantel's permutation test: whether the outcomes follow the domains they are attached to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from superpose.statistics.bootstrap import Floats

__all__ = ["Permutation", "permute_domains"]

_FEWEST_DOMAINS = 4
"""Three domains have six orders: no p-value below 1/6, whatever the points."""

_MOST_EXACT = 7
"""Domains up to which all orders are tried (5040); above, a sample of them."""

_SAMPLE = 5000


@dataclass(frozen=True)
class Permutation:
    """Two-sided p-value of |pearson| over `orders` relabellings; None with the reason why."""

    p: float | None
    orders: int
    reason: str


def permute_domains(
    x: Floats,
    y: Floats,
    domains: Sequence[frozenset[Hashable]] | None,
    seeds: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> Permutation:
    """Permute the domain labels of y against those of x, the same way for every seed.

    x, y: (points,). domains: the domains of each point's sum. seeds: each point's training
    seed. Points that share a domain move together, so their dependence stays as it is (Mantel
    1967). Every relabelling has to find its points: each combination once for each seed.
    """
    if domains is None:
        return Permutation(None, 0, "no permutation without domain labels")
    names = sorted({each for labels in domains for each in labels}, key=repr)
    if len(names) < _FEWEST_DOMAINS:
        return Permutation(None, 0, f"no permutation of {len(names)} domains: too few orders")
    labels = list(zip(domains, seeds if seeds is not None else [None] * len(x), strict=True))
    place = {label: index for index, label in enumerate(labels)}
    if len(place) < len(labels):
        return Permutation(None, 0, "no permutation: a combination occurs twice for one seed")
    if not _varies(x) or not _varies(y):
        return Permutation(None, 0, "no permutation: x or y does not vary")
    moved = []
    for order in _orders(names, seed):
        new = dict(zip(names, order, strict=True))
        sources = [place.get((frozenset(new[each] for each in ds), g)) for ds, g in labels]
        if None in sources:
            return Permutation(None, 0, "no permutation: some domain combinations are missing")
        moved.append(sources)
    permuted = y[np.asarray(moved, dtype=np.intp)]
    central = x - x.mean()
    # y's mean and spread stay what they are, so the covariance decides.
    covariance = np.abs(permuted @ central)
    observed = covariance[0]
    as_large = int((covariance >= observed - 1e-12 * max(1.0, covariance.max())).sum())
    return Permutation(as_large / len(moved), len(moved), "")


def _orders(names: Sequence[Hashable], seed: int) -> list[tuple[Hashable, ...]]:
    """The identity first, then every other order, or a sample of them."""
    if len(names) <= _MOST_EXACT:
        return list(permutations(names))
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(len(names)) for _ in range(_SAMPLE - 1))
    sample = [tuple(names[index] for index in order) for order in orders]
    return [tuple(names), *sample]


def _varies(values: Floats) -> bool:
    return bool(np.ptp(values) > 0)
