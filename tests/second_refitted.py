"""Lambda space fitted anew to the second run's losses and slopes, by NumPy alone.

Both forms, as registered and as `predict` has it now, from their formulas in docs/mathematics.md.
No line of superpose is used. A term of the polynomial is the positions of the task weights that are
multiplied; two are functions by name: `triples`, all products of three others, and `own`, the own
adapter's axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
from tests.mid_ranks import ranks

Array: TypeAlias = np.ndarray
Loss: TypeAlias = Callable[[Array], float]
Terms: TypeAlias = Sequence[tuple[int, ...] | str]


def terms_of(count: int, own: int, *, triples: bool) -> Terms:
    """All up to second order but the own square, the others' cubes, and what has no monomial."""
    twos = itertools.combinations_with_replacement(range(count), 2)
    cubes = [(k, k, k) for k in range(count) if k != own]
    monomials = [(), *((k,) for k in range(count)), *(t for t in twos if t != (own, own)), *cubes]
    return [*monomials, *(["triples"] if triples else []), "own"]


def features(terms: Terms, own: int, x: Array) -> Array:
    others = [k for k in range(len(x)) if k != own]
    away = (1 - x[own]) ** 2
    named = {
        "own": (away - 1) / 4 + 3 * (away**2 - 1) / 4,
        "triples": sum(np.prod(x[list(t)]) for t in itertools.combinations(others, 3)),
    }
    return np.array([named[t] if isinstance(t, str) else np.prod(x[list(t)]) for t in terms])


def slopes(terms: Terms, own: int, x: Array) -> Array:
    """(K, C) by differences: the functions are of fourth order at most, so five points do."""
    steps = np.array([-2.0, -1, 1, 2])
    weights = np.array([1, -8, 8, -1]) / 12
    return np.array(
        [
            weights @ [features(terms, own, x + step * unit) for step in steps]
            for unit in np.eye(len(x))
        ]
    )


class Fit:
    """Coefficients that meet all values, and with those as nearly as can be the slopes."""

    def __init__(self, terms: Terms, own: int, points: Array, sloped: Array) -> None:
        self.terms, self.own = terms, own
        values = np.array([features(terms, own, x) for x in points])
        self.slopes = np.concatenate([slopes(terms, own, x) for x in sloped])
        _, sizes, right = np.linalg.svd(values)
        self.free = right[int(np.sum(sizes > 1e-8)) :].T
        self.met = np.linalg.pinv(values, rcond=1e-10)
        self.near = np.linalg.pinv(self.slopes @ self.free)

    def solve(self, loss: Array, gradient: Array) -> Array:
        some = self.met @ loss
        return some + self.free @ (self.near @ (gradient.ravel() - self.slopes @ some))


class Domain:
    """What was measured of one domain at one seed: losses at points, slopes at the first of them.

    The base and the sum of all stand at the end.
    """

    def __init__(self, arrays: dict[str, Array], names: list[str], seed: int, domain: str) -> None:
        self.count, self.own = len(names), names.index(domain)
        self.at = {part: _losses(arrays, f"{part}|{seed}|{domain}") for part in PARTS}
        held, tokens = (arrays[f"slopes|{seed}|{domain}|{key}"] for key in ("slopes", "tokens"))
        self.gradient = held.astype(float).sum(axis=1) / tokens.sum()
        points, loss = self.at["slopes"]
        ends = np.array([np.zeros(self.count), np.ones(self.count)])
        self.points = np.vstack([points, ends])
        self.loss = np.append(loss, [self.measured("evaluated", end) for end in ends])
        self.sloped = points
        self.alone = self.measured("slopes", np.eye(self.count)[self.own])
        terms = (terms_of(self.count, self.own, triples=with_them) for with_them in (True, False))
        self.fit, self.fit_without = (
            Fit(each, self.own, self.points[:last], points)
            for each, last in zip(terms, (None, -1), strict=True)
        )

    def measured(self, part: str, point: Array) -> float:
        points, loss = self.at[part]
        apart = np.abs(points - point).max(axis=1)
        assert apart.min() < 1e-6
        return float(loss[apart.argmin()])

    def registered(self) -> Loss:
        """One coefficient of all triple products meets the sum of all."""
        found = self.fit.solve(self.loss, self.gradient)
        return lambda x: float(features(self.fit.terms, self.own, x) @ found)

    def now(self) -> Loss:
        """What the others do together saturates, by as much as meets the sum of all."""
        largest = max(self.loss[np.abs(self.points[:, self.own] - 1) < 1e-9] - self.alone)
        tried = np.geomspace(2.0**-8, 8, 32) / largest
        place = next((n for n, k in enumerate(tried) if self._missed(k) <= 0), 0)
        if self.loss[-1] <= self.alone or not place:
            return self.registered()
        low, high = tried[place - 1], tried[place]
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._missed(middle) > 0 else (low, middle)
        return self._saturating(high)

    def _missed(self, saturation: float) -> float:
        return self._saturating(saturation)(np.ones(self.count)) - float(self.loss[-1])

    def _saturating(self, k: float) -> Loss:
        """Losses beside the own adapter are turned into those of r, and fitted without triples."""
        terms = self.fit_without.terms
        loss, gradient = self.loss[:-1].copy(), self.gradient.copy()
        itself = np.zeros(self.count)
        itself[self.own] = self.gradient[np.abs(self.sloped.sum(axis=1) - 1).argmin(), self.own]
        for at, point in enumerate(self.points[:-1]):
            lost = self.loss[at] - self.alone
            if point[self.own] == 1 and lost > 0:
                loss[at] = self.alone + np.expm1(k * lost) / k
                gradient[at] = (self.gradient[at] - itself) * np.exp(k * lost) + itself
        found = self.fit_without.solve(loss, gradient)
        others = np.array([t != "own" and any(n != self.own for n in t) for t in terms])

        def value(x: Array) -> float:
            parts = features(terms, self.own, x) * found
            rest = parts[others].sum()
            return float(parts[~others].sum() + (np.log1p(k * rest) / k if rest > 0 else rest))

        return value


PARTS = ("slopes", "evaluated", "test")


def _losses(arrays: dict[str, Array], place: str) -> tuple[Array, Array]:
    points, nll, tokens = (arrays[f"{place}|{key}"] for key in ("points", "nll", "tokens"))
    return points.astype(float), nll.astype(float).sum(axis=1) / tokens.sum()


def check_lambda_space(record: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Hold both forms' forecasts of every sum, and what is said of them, against the record."""
    names = record["adapters"]
    place = [each["name"] for each in record["predictors"]].index("lambda space")
    domains: dict[tuple[int, str], Domain] = {}
    fitted: dict[tuple[int, str, str], Loss] = {}
    foretold: dict[str, list[float]] = {"registered": [], "now": []}
    for _, seed, members, name, _, figures in record["points"]:
        domain = domains.setdefault((seed, name), Domain(arrays, names, seed, name))
        both = np.array([float(each in members.split("+")) for each in names])
        for form, held in foretold.items():
            if (seed, name, form) not in fitted:
                fitted[seed, name, form] = getattr(domain, form)()
            loss = fitted[seed, name, form]
            held.append(loss(both) - loss(np.eye(len(names))[names.index(name)]))
        assert foretold["now"][-1] == pytest.approx(figures[place], rel=1e-3, abs=2e-4)
    truth = np.array([point[4] for point in record["points"]])
    sizes = np.array([point[2].count("+") + 1 for point in record["points"]])
    groups = {"all": sizes > 0}
    groups |= {name: sizes == n for n, name in enumerate(("pairs", "triples", "quadruples"), 2)}
    for form, held in foretold.items():
        for group, chosen in groups.items():
            told, x, y = record["forms"][form][group], np.array(held)[chosen], truth[chosen]
            rank = np.corrcoef(ranks(x), ranks(y))[0, 1]
            assert told["spearman"] == pytest.approx(rank, abs=1e-2)
            assert told["error"] == pytest.approx(np.abs(x - y).mean(), rel=1e-2, abs=1e-4)
            assert told["bias"] == pytest.approx((x - y).mean(), rel=1e-2, abs=1e-4)
            share = np.abs(x - y).mean() / y.mean()
            assert told["share"]["value"] == pytest.approx(share, rel=1e-2)
