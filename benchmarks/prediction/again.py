"""Judge the tournament's record anew from its own points, without the folder it was measured in.

What takes more than a point's interference and figures stays as it was recorded: ceilings, costs,
the losses of single adapters, and of tuned weights all but the intervals of shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.prediction.derived import derived
from benchmarks.prediction.judging import Judged, grouped, judged, outcomes, parts, promised
from benchmarks.prediction.points import Point
from benchmarks.prediction.weighed import widened

__all__ = ["Recorded", "judged_anew", "recorded"]

_SHARES = ("better_than_naive", "better_than_average")


@dataclass(frozen=True)
class Recorded:
    """A point as the record holds it: one sum on one of its domains."""

    point: Point
    domain: str
    interference: float


def judged_anew(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the record with everything judged again that its points can tell.

    Figures that follow from recorded ones (`derived`) enter.
    """
    record = derived(record)
    groups = grouped(list(recorded(record)))
    predictors = [
        each
        | {
            "groups": {
                name: judged(found, each["name"], in_nats=each["in_nats"])
                for name, found in groups.items()
            }
        }
        for each in record["predictors"]
    ]
    before = record["groups"]
    return {
        **record,
        "groups": {
            name: outcomes(found, (before.get(name) or {}).get("ceiling"))
            for name, found in groups.items()
        },
        "predictors": predictors,
        "parts": parts(groups["all"]),
        "promised": promised(groups["all"], [each["name"] for each in predictors]),
        "weights": {
            method: found | {share: widened(found[share], found["sums"]) for share in _SHARES}
            for method, found in record["weights"].items()
        },
    }


def recorded(record: Mapping[str, Any]) -> Iterator[Judged]:
    """Give the record's points with their figures; NaN for one that there is not."""
    names = [predictor["name"] for predictor in record["predictors"]]
    for condition, seed, domains, domain, interference, figures in record["points"]:
        known = [np.nan if figure is None else float(figure) for figure in figures]
        point = Point(condition, seed, tuple(domains.split("+")))
        row = Recorded(point, domain, interference)
        yield Judged(row, dict(zip(names, known, strict=True)))
