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
    values = _outcome(found)
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

    A lead is a difference of Spearman correlations on the points that the rival has a figure of.
    Both are taken on the same resamples of domains and seeds, so what makes one hard for both
    cancels. None where a point lacks the best one's figure.
    """
    figures, values = _figures(found, BEST), _outcome(found)
    if not len(values) or not np.isfinite(figures).all():
        return None
    off, drawn = np.abs(figures - values), _drawn(found)
    share = float(off.mean() / values.mean())
    leads = {name: _lead(found, name) for name in rivals if name != BEST}
    return {
        "error_share": _with_interval(share, _ratio(drawn @ off, drawn @ values)),
        "leads": {name: lead for name, lead in leads.items() if lead},
    }


def _lead(found: Group, rival: str) -> dict[str, Any] | None:
    """The best one's lead; None where the rival does not vary, or has no figure of any point."""
    known = [each for each in found if np.isfinite(each.figures[rival])]
    if not known:
        return None
    weights = np.vstack([np.ones((1, len(known))), _drawn(known)])
    one, other = (
        fit(_figures(known, name), _outcome(known), weights).spearman for name in (BEST, rival)
    )
    leads = one - other
    if not np.isfinite(leads[0]):
        return None
    return {"n": len(known)} | _with_interval(float(leads[0]), leads[1:])


def _drawn(found: Group) -> Floats:
    """Multiplicities (resamples, points) over domains and seeds, sizes at their share."""
    points = [each.row.point for each in found]
    return cluster_counts(
        [[frozenset(p.domains) for p in points], [frozenset([p.seed]) for p in points]],
        _RESAMPLES,
        np.random.default_rng(0),
        [len(point.domains) for point in points],
    )


def _outcome(found: Group) -> Floats:
    return Points([each.row for each in found]).interference


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
