"""Judge predictors by points that have their figures: by group, by part, and against each other.

Of points only their interference is used, so the record's own points can be judged as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.measured import Outcome
from benchmarks.prediction.points import Point
from benchmarks.prediction.relation import Points, relation
from superpose.statistics.bootstrap import Floats, cluster_counts, percentiles
from superpose.statistics.moments import fit

__all__ = ["BEST", "GROUPS", "Judged", "grouped", "judged", "outcomes", "parts", "promised"]

BEST = "lambda space"
"""The predictor that is taken apart, and that something was promised of."""

GROUPS: Mapping[str, Callable[[Point], bool]] = {
    "all": lambda point: point.condition == "main",
    "pairs": lambda point: point.condition == "main" and len(point.domains) == 2,
    "triples": lambda point: point.condition == "main" and len(point.domains) == 3,
    "quadruples": lambda point: point.condition == "main" and len(point.domains) == 4,
    "same-a": lambda point: point.condition == "same-a",
    "random": lambda point: point.condition == "random",
    "calibration": lambda point: point.condition == "calibration",
}
"""Points that are judged together: all main ones, those of each size, and each control."""

_RESAMPLES = 2000
_LEVEL = 0.95


@dataclass(frozen=True)
class Judged:
    """A point with every predictor's figure, by name; NaN where there is none."""

    row: Outcome
    figures: Mapping[str, float]


Group: TypeAlias = Sequence[Judged]


def grouped(found: Group) -> dict[str, list[Judged]]:
    """Give the points of each group."""
    return {
        name: [each for each in found if belongs(each.row.point)]
        for name, belongs in GROUPS.items()
    }


def judged(found: Group, name: str, *, in_nats: bool) -> dict[str, Any] | None:
    """Give what is said of one predictor; None where it has no figure of any point."""
    figures = _figures(found, name)
    if not np.isfinite(figures).any():
        return None
    return relation(Points([each.row for each in found]), figures, in_nats=in_nats)


def outcomes(found: Group, most: float | None) -> dict[str, Any] | None:
    """Give what was measured in a group. most: the ceiling that a perfect predictor reaches."""
    if not found:
        return None
    values = Points([each.row for each in found]).interference
    return {
        "n": len(values),
        "sums": len({each.row.point for each in found}),
        "mean": round(float(values.mean()), 5),
        "spread": round(float(values.std()), 5),
        "least": round(float(values.min()), 5),
        "most": round(float(values.max()), 5),
        "harmed": round(float((values > 0).mean()), 4),
        "ceiling": None if most is None else round(most, 4),
    }


def parts(found: Group) -> dict[str, Any]:
    """What is measured, and how the best one fares, within one size, seed and domain."""
    held: dict[str, list[Judged]] = {}
    for each in found:
        point = each.row.point
        for part in (f"{len(point.domains)} adapters", f"seed {point.seed}", each.row.domain):
            held.setdefault(part, []).append(each)
    order = sorted(held, key=lambda p: (not p[0].isdigit(), not p.startswith("seed "), p))
    said = {part: judged(held[part], BEST, in_nats=True) for part in order}
    return {part: [outcomes(held[part], None), each] for part, each in said.items() if each}


def promised(found: Group, rivals: Sequence[str]) -> dict[str, Any] | None:
    """Give the best one's error beside the mean interference, and its lead over each rival.

    A lead is a difference of Spearman correlations. Both have intervals over the same resamples
    of domains and seeds, so what makes a resample hard for both cancels. None where a point lacks
    the best one's figure.
    """
    figures, values = _figures(found, BEST), Points([each.row for each in found]).interference
    if not len(values) or not np.isfinite(figures).all():
        return None
    labels = [each.row.point for each in found]
    drawn = cluster_counts(
        [[frozenset(p.domains) for p in labels], [frozenset([p.seed]) for p in labels]],
        _RESAMPLES,
        np.random.default_rng(0),
        [len(point.domains) for point in labels],
    )
    off = np.abs(figures - values)
    weights = np.vstack([np.ones((1, len(values))), drawn])
    own = _spearman(found, BEST, weights)
    return {
        "error_share": _with_interval(
            float(off.mean() / values.mean()), _ratio(drawn @ off, drawn @ values)
        ),
        "leads": {
            name: _with_interval(float(lead[0]), lead[1:])
            for name in rivals
            if name != BEST and np.isfinite((lead := own - _spearman(found, name, weights))[0])
        },
    }


def _spearman(found: Group, name: str, weights: Floats) -> Floats:
    """A predictor's Spearman correlation in each weighting; NaN where a figure is missing."""
    values = Points([each.row for each in found]).interference
    return fit(_figures(found, name), values, weights).spearman


def _with_interval(value: float, resampled: Floats) -> dict[str, Any]:
    interval = percentiles(resampled, _LEVEL)
    return {
        "value": float(f"{value:.4g}"),
        "interval": None if interval is None else [float(f"{end:.4g}") for end in interval],
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))


def _figures(found: Group, name: str) -> NDArray[np.float64]:
    return np.array([each.figures[name] for each in found], dtype=np.float64)
