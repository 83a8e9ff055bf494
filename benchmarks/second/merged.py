"""RMS cosine as the paper has it: a pair's change of perplexity against training on merged data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.prediction.points import Point
from benchmarks.second.plan import Part
from benchmarks.second.rows import Array, Measurements
from benchmarks.second.ways import BUDGETS, MERGED, Place, Ways
from superpose.errors import BadInput
from superpose.statistics import ratio_interval

__all__ = ["COSINE", "merged_pairs"]

COSINE = "rms cosine"


def merged_pairs(
    found: Measurements, figures: Mapping[Point, Mapping[str, Mapping[str, float]]]
) -> list[dict[str, Any]]:
    """Give every pair's RMS cosine, and dPPL % of its naive sum against merged data, by budget.

    On the union of the first test rows of both, as `benchmarks.methods` has them. figures: by sum
    and domain. None where a budget was not trained.
    """
    said = []
    for name in dict.fromkeys(place.name for place in found.ways if place.kind == MERGED):
        seed, members = name.split("-", maxsplit=1)
        pair = tuple(members.split("+"))
        if int(seed) in found.seeds and set(pair) <= set(found.domains):
            rows = [found.ways[Place(MERGED, name, domain)] for domain in pair]
            cosine = figures[Point("main", int(seed), pair)][pair[0]][COSINE]
            about = {"seed": int(seed), "domains": list(pair)}
            changes = {budget: _change(found, int(seed), pair, rows, budget) for budget in BUDGETS}
            said.append(about | {"rms_cosine": float(f"{cosine:.5g}")} | changes)
    return said


def _change(
    found: Measurements, seed: int, pair: tuple[str, ...], rows: list[Ways], budget: str
) -> dict[str, Any] | None:
    if any(budget not in each.nll for each in rows):
        return None
    naive = [_naive(found, seed, domain, pair, w) for domain, w in zip(pair, rows, strict=True)]
    merged = np.concatenate([each.nll[budget] for each in rows])
    tokens = np.concatenate([each.tokens for each in rows])
    ratio = ratio_interval(np.concatenate(naive), merged, tokens, seed=0)
    ends = ratio.interval or ()
    return {"percent": _short(ratio.percent), "interval": [_short(end) for end in ends]}


def _naive(found: Measurements, seed: int, domain: str, pair: tuple[str, ...], ways: Ways) -> Array:
    """Give the same rows under the naive sum. Raises BadInput where they are not the same."""
    test = found[Part(seed, domain, "test")]
    count = len(ways.tokens)
    if not np.array_equal(test.tokens[:count], ways.tokens):
        raise BadInput("merged data and sums were measured on other rows", where=domain)
    return test.nll[test.at(found.sum_of(pair)), :count]


def _short(x: float) -> float:
    return float(f"{x:.5g}")
