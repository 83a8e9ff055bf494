"""Is the ranking of predictors another one where all adapters have one norm? Pairs, first seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.prediction.measured import Measured
from benchmarks.prediction.points import Point
from benchmarks.prediction.relation import Points
from benchmarks.second.figures import calibration, score_at
from benchmarks.second.plan import MATCHED, NORM_MATCHED, Part
from benchmarks.second.rows import Array, Measurements
from superpose.statistics.bootstrap import cluster_counts, percentiles
from superpose.statistics.moments import fit

__all__ = ["norms_judged", "scales"]

LAMBDA = "lambda space"
"""Of what data tell, what foretells other task weights than those that were measured."""

_RESAMPLES, _LEVEL = 2000, 0.95
_FEWEST = 5
"""Domains to be drawn: fewer have no interval of 95 %."""

ALIKE = 1e-4
"""Figures that differ by a smaller share of themselves are one: they are kept to five digits."""

Figures = Callable[[Measured], Mapping[str, float]]


def scales(found: Measurements) -> Array | None:
    """Give what each adapter is scaled by, (K,), in the seed that was; None where none was."""
    parts = [part for part in found.parts if part.part == MATCHED]
    return np.asarray(found[parts[0]].points.max(axis=0)) if parts else None


def norms_judged(
    found: Measurements, plain: Mapping[Point, Mapping[str, Mapping[str, float]]], free: Figures
) -> dict[str, Any] | None:
    """Give each predictor's Spearman among pairs, as trained and of one norm; None without these.

    plain: by sum and domain, the figures of the adapters as trained. free: what the weights of the
    scaled ones tell of a point whose condition is `norm-matched`.
    """
    rows = list(_rows(found))
    if not rows:
        return None
    matched = [_rounded({**free(row), LAMBDA: _foretold(found, row)}) for _, row in rows]
    before = [_rounded(plain[first.point][first.domain]) for first, _ in rows]
    pairs = [row.point.domains for _, row in rows]
    truth = [Points([each[k] for each in rows]).interference for k in (0, 1)]
    drawn = _drawn(pairs)
    said = []
    for name in (each for each in before[0] if each in matched[0]):
        two = [np.array([each[name] for each in figures]) for figures in (before, matched)]
        if np.isfinite(two[0]).all() and np.isfinite(two[1]).all():
            said.append({"name": name} | _change(two, truth, drawn))
    ranked = [each for each in said if None not in (each["plain"], each["matched"])]
    orders = np.array([[each["plain"], each["matched"]] for each in ranked]).T
    return {
        "missing": [name for name in found.domains if name not in {r.domain for _, r in rows}],
        "n": len(rows),
        "alike": _spearman(truth[0], truth[1]),
        "order": _spearman(*orders) if len(ranked) > 1 else None,
        "ranked": len(ranked),
        "changed": [each["name"] for each in said if _apart(each["interval"])],
        "predictors": said,
        "points": [
            [
                *(first.point.seed, "+".join(first.point.domains), first.domain),
                *(round(each.interference, 6) for each in (first, second)),
                {name: _short(x) for name, x in figures.items()},
            ]
            for (first, second), figures in zip(rows, matched, strict=True)
        ],
    }


def _rows(found: Measurements) -> Iterator[tuple[Measured, Measured]]:
    """Give every pair on each of its domains, as trained and of one norm."""
    names = found.adapters
    for part in (part for part in found.parts if part.part == MATCHED):
        scaled, test = found[part], found[Part(part.seed, part.domain, "test")]
        own = found.alone(part.domain)
        alone = int(np.flatnonzero((scaled.points > 0).sum(axis=1) == 1)[0])
        for at in np.flatnonzero((scaled.points > 0).sum(axis=1) == 2).tolist():
            both = (scaled.points[at] > 0).astype(np.float64)
            members = tuple(n for n, w in zip(names, both, strict=True) if w)
            plain = score_at(test, test.at(own)), score_at(test, test.at(both))
            matched = score_at(scaled, alone), score_at(scaled, at)
            yield (
                Measured(Point("main", part.seed, members), part.domain, *plain),
                Measured(Point(NORM_MATCHED, part.seed, members), part.domain, *matched),
            )


def _foretold(found: Measurements, row: Measured) -> float:
    """Give what lambda space, calibrated with the adapters as trained, tells of scaled ones."""
    size = scales(found)
    assert size is not None
    loss = calibration(found, row.point.seed, row.domain).loss
    both, own = found.sum_of(row.point.domains), found.alone(row.domain)
    return loss.value(size * both) - loss.value(size * own)


def _drawn(pairs: Sequence[tuple[str, ...]]) -> Array | None:
    """Multiplicities (resamples, points) of drawing domains; None where there are too few."""
    if len({name for pair in pairs for name in pair}) < _FEWEST:
        return None
    rng = np.random.default_rng(0)
    return cluster_counts([[frozenset(pair) for pair in pairs]], _RESAMPLES, rng)


def _change(
    figures: Sequence[Array], truth: Sequence[Array], drawn: Array | None
) -> dict[str, Any]:
    """Give both correlations, and the second less the first with its paired interval."""
    plain, matched = (_spearman(x, y) for x, y in zip(figures, truth, strict=True))
    said = {"plain": plain, "matched": matched, "interval": None}
    if drawn is None or plain is None or matched is None:
        return said
    one, other = (fit(x, y, drawn).spearman for x, y in zip(figures, truth, strict=True))
    ends = percentiles(other - one, _LEVEL)
    return said | {"interval": ends and [_short(end) for end in ends]}


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Give them as the record holds them, so that it can be judged again to the same."""
    return {name: float(f"{x:.5g}") for name, x in figures.items()}


def _apart(interval: Sequence[float] | None) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _spearman(x: Array, y: Array) -> float | None:
    """Give Spearman's correlation; None where one does not vary, as a norm that was made equal."""
    if np.ptp(x) <= ALIKE * np.abs(x).max():
        return None
    found = float(fit(x, y, np.ones((1, len(x)))).spearman[0])
    return _short(found) if np.isfinite(found) else None


def _short(x: float) -> float | None:
    return float(f"{x:.5g}") if np.isfinite(x) else None
