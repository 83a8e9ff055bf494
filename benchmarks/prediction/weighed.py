"""What tuned weights are worth: every method's mean regret on the test rows, beside the naive sum.

A domain's regret is what it loses, in nats an answer token, against its own adapter; a sum's is
the mean over its domains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction.measured import Losses, losses
from benchmarks.prediction.points import Point
from benchmarks.prediction.weigh import METHODS
from superpose.measure.evaluate import Score
from superpose.statistics import clopper_pearson
from superpose.statistics.bootstrap import Floats, cluster_counts, percentiles

__all__ = ["weighed", "widened"]

_RESAMPLES = 2000
_LEVEL = 0.95


def weighed(out: str | Path) -> dict[str, dict[str, Any]]:
    """Give what is said of each method that was measured, by name."""
    main, weighted = losses(out), losses(out, "weighted")
    found = {method: list(_regrets(main, weighted, method)) for method in METHODS}
    averages = {domains: regret for domains, _, regret in found["average"]}
    return {method: _judged(rows, averages) for method, rows in found.items() if rows}


_Row = tuple[tuple[str, ...], float, float]
"""Domains of a sum, its regret as the naive sum, its regret with a method's weights."""


def _regrets(main: Losses, weighted: Losses, method: str) -> Iterator[_Row]:
    for point, scores in weighted.items():
        naive = Point("main", point.seed, point.domains)
        alone = [Point("main", point.seed, (name,)) for name in point.domains]
        if point.condition == method and all(each in main for each in (naive, *alone)):
            own = {name: main[one][name] for name, one in zip(point.domains, alone, strict=True)}
            yield point.domains, _regret(main[naive], own), _regret(scores, own)


def _regret(scores: Mapping[str, Score], own: Mapping[str, Score]) -> float:
    return float(np.mean([scores[name].nll - score.nll for name, score in own.items()]))


def _judged(rows: Sequence[_Row], averages: Mapping[tuple[str, ...], float]) -> dict[str, Any]:
    """Shares of sums that came out better, and the part of the naive sums' regret that is gone."""
    naive = np.array([regret for _, regret, _ in rows])
    method = np.array([regret for _, _, regret in rows])
    average = np.array([averages.get(domains, np.nan) for domains, _, _ in rows])
    draws = cluster_counts(
        [[frozenset(domains) for domains, _, _ in rows]],
        _RESAMPLES,
        np.random.default_rng(0),
        [len(domains) for domains, _, _ in rows],
    )
    shares = {"better_than_naive": method < naive, "better_than_average": method < average}
    said = {name: _figure(held.astype(float), np.ones(len(rows)), draws)
            for name, held in shares.items()}  # fmt: skip
    return {
        "sums": len(rows),
        "regret": _short(method.mean()),
        "naive_regret": _short(naive.mean()),
        "average_regret": _short(average.mean()) if np.isfinite(average).all() else None,
        "gap_closed": _figure(naive - method, naive, draws),
        **said,
    }


def _figure(above: Floats, below: Floats, draws: Floats) -> dict[str, Any]:
    """A ratio of means over sums, and its interval over resampled domains."""
    with np.errstate(invalid="ignore", divide="ignore"):
        interval = percentiles((draws @ above) / (draws @ below), _LEVEL)
    return {
        "value": _short(above.mean() / below.mean()),
        "interval": None if interval is None else [_short(end) for end in interval],
    }


def widened(share: Mapping[str, Any], sums: int) -> dict[str, Any]:
    """A share of so many sums, its interval reaching as far as Clopper and Pearson's at least.

    Sums that share a domain are not independent, which the bootstrap over domains knows; that all
    of nine say little of a tenth, it does not. Each end is the farther one of both.
    """
    low, high = clopper_pearson(round(share["value"] * sums), sums)
    drawn = share["interval"] or (low, high)
    ends = [_short(min(low, drawn[0])), _short(max(high, drawn[1]))]
    return {"value": share["value"], "interval": ends}


def _short(x: float) -> float:
    return float(f"{x:.4g}")
