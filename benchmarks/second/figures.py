"""Points of the second tournament, and what every predictor says of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Measured
from benchmarks.prediction.points import Point
from benchmarks.second.plan import NORM_MATCHED, Part
from benchmarks.second.rivals import Seen
from benchmarks.second.rows import Array, Measurements, PartRows
from superpose.adapter import Adapter, Delta
from superpose.interference.predictors import DATA_FREE, Case
from superpose.landscape.calibrated import Calibrated, DataCase, DataInner
from superpose.landscape.predictors import DATA_AWARE, PREDICTORS
from superpose.landscape.sample import Sample
from superpose.measure.evaluate import Score

__all__ = ["AVAILABLE", "aware", "calibration", "free", "rows_of", "score_at", "told", "whole_sums"]

AVAILABLE = frozenset({"slope", "slopes", "values", "pairs", "sums"})
"""Parts of a calibration that this tournament has of every seed."""

RIVALS = frozenset({"inner", "merges"})
"""Parts that `benchmarks.second.rivals` measures of one seed."""

_NOBODY = Adapter({"m": Delta.of(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))})
"""Stands where adapters would: what is told from data reads no weights."""


def whole_sums(points: Array, place: int) -> list[int]:
    """Places of the weightings that are sums of weight 1 of the own adapter and others."""
    binary = np.isin(points, (0.0, 1.0)).all(axis=1)
    return np.flatnonzero(binary & (points[:, place] == 1) & (points.sum(axis=1) > 1)).tolist()


def rows_of(found: Measurements) -> Iterator[Measured]:
    """Give one point a sum and member domain, in the order in which they were measured."""
    names = found.adapters
    for seed in found.seeds:
        for domain in found.domains:
            test = found[Part(seed, domain, "test")]
            own = score_at(test, test.at(found.alone(domain)))
            for at in whole_sums(test.points, names.index(domain)):
                members = tuple(n for n, w in zip(names, test.points[at], strict=True) if w)
                yield Measured(Point("main", seed, members), domain, own, score_at(test, at))


def score_at(rows: PartRows, at: int) -> Score:
    """Give one weighting's losses, row by row."""
    return Score(tuple(rows.nll[at].tolist()), tuple(rows.tokens.tolist()))


def calibration(
    found: Measurements, seed: int, domain: str, seen: Seen | None = None
) -> Calibrated:
    """Give what predictors may look at: a domain's calibration rows with all adapters beside.

    seen: what was measured for rivals.
    """
    count = len(found.adapters)
    slopes, values = (found[Part(seed, domain, part)] for part in ("slopes", "evaluated"))
    design = [values.at(np.zeros(count)), values.at(np.ones(count))]
    sample = slopes.sample().joined(values.sample(np.array(design)))
    nothing = np.zeros((1, count, count))
    return Calibrated(
        sample,
        DataInner(nothing, nothing, ("none",)) if seen is None else seen.inner,
        merges={} if seen is None else seen.merges,
        sums=_without_slopes(slopes.sample()).joined(values.sample()),
        slopes=np.stack([_own_slope(found, seed, name) for name in found.adapters]),
    )


def _without_slopes(sample: Sample) -> Sample:
    nothing = np.full_like(sample.gradient, np.nan)
    return Sample(sample.points, sample.nll, nothing, sample.tokens, sample.modules)


def _own_slope(found: Measurements, seed: int, domain: str) -> Array:
    """Give the slope at a domain's own adapter, (K,); NaN where the domain was not measured."""
    if domain not in found.domains:
        return np.full(len(found.adapters), np.nan)
    rows = found[Part(seed, domain, "slopes")]
    at = rows.at(found.alone(domain))
    return np.asarray(rows.slopes[at].sum(axis=0) / rows.tokens.sum())


def aware(
    found: Measurements, seen: Mapping[tuple[int, str], Seen] | None = None
) -> Callable[[Measured], Mapping[str, float]]:
    """Give the function from a point to what data tell of it; NaN where it was not measured.

    seen: by seed and domain, what was measured for rivals.
    """
    names, more = found.adapters, seen or {}
    known = cache(lambda seed, domain: calibration(found, seed, domain, more.get((seed, domain))))

    def figures(row: Measured) -> Mapping[str, float]:
        available = AVAILABLE | (RIVALS if (row.point.seed, row.domain) in more else set())
        place = names.index(row.domain)
        places = tuple(names.index(name) for name in row.point.domains if name != row.domain)
        case = DataCase(
            _NOBODY,
            (_NOBODY,) * len(places),
            known(row.point.seed, row.domain),
            place,
            places,
        )
        return {
            each.name: each.predict(case) if each.needs <= available else math.nan
            for each in DATA_AWARE
        }

    return figures


def free(field: Field, scales: Array | None = None) -> Callable[[Measured], Mapping[str, float]]:
    """Give the function from a point to what the weights tell of it.

    scales: (K,), of the adapters at points of another condition than `main`.
    """
    size = np.ones(len(field.names)) if scales is None else scales

    @cache
    def adapters(seed: int, condition: str) -> dict[str, Adapter]:
        held = {name: trained(field, "main", seed, name) for name in field.names}
        if condition == "main":
            return held
        return {name: float(s) * held[name] for name, s in zip(held, size, strict=True)}

    def figures(row: Measured) -> Mapping[str, float]:
        held = adapters(row.point.seed, row.point.condition)
        others = tuple(held[name] for name in row.point.domains if name != row.domain)
        case = Case(held[row.domain], others)
        return {each.name: each.predict(case) for each in DATA_FREE}

    return figures


def told(record: Mapping[str, Any]) -> Callable[[Measured], Mapping[str, float]]:
    """Give the function from a point to what a record says that the weights tell of it."""
    names = [each["name"] for each in record["predictors"]]
    chosen = {each.name for each in PREDICTORS if not each.needs}
    held = {
        (condition, seed, domains, domain): dict(zip(names, figures, strict=True))
        for condition, seed, domains, domain, _, figures in record["points"]
    }
    for seed, domains, domain, *_, figures in (record["norms"] or {"points": ()})["points"]:
        held[NORM_MATCHED, seed, domains, domain] = figures

    def figures_of(row: Measured) -> Mapping[str, float]:
        point = row.point
        found = held[point.condition, point.seed, "+".join(point.domains), row.domain]
        return {
            name: math.nan if figure is None else figure
            for name, figure in found.items()
            if name in chosen
        }

    return figures_of
