"""Merge methods from the factors, beside their definitions on formed deltas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import superpose
from benchmarks import definitions
from benchmarks.measure import Timing, call, interleaved
from benchmarks.result import Result, Target
from superpose.compose import METHODS
from superpose.lowrank import dense

__all__ = ["RULES", "apart", "measure", "parts"]

SIDE, RANK, ADAPTERS = 2048, 16, 3

RULES: Mapping[str, definitions.Rule] = {
    "knots": definitions.knots(definitions.ties(0.2)),
    "tsv": definitions.tsv,
    "iso": definitions.iso,
    "core": definitions.core(definitions.ties(0.2)),
    "ctm": definitions.ctm(definitions.ties(0.25), 0.25),
    "pico": definitions.pico,
    "wudi": definitions.wudi(None),
    "svc": definitions.svc(sum, 0.1),
    "star": lambda there: definitions.star(sum(there), 0.4),
    "orthogonal": definitions.orthogonal(1.0),
}
"""Of each method that stays in the factors, its definition at its own settings."""


def measure(repeats: int = 7) -> Result:
    """One module, three adapters, in float32 files' precision; formed deltas in float64."""
    adapters = parts(SIDE, RANK, ADAPTERS)
    deltas = [c * B.astype(np.float64) @ A for a in adapters for c, B, A in a["q"].terms]
    timings: dict[str, Timing] = {}
    quicker, same = [], []
    for name, rule in RULES.items():
        given: dict[str, Any] = {}

        def from_factors(name: str = name, given: dict[str, Any] = given) -> None:
            given["merged"] = superpose.merge(adapters, None, METHODS[name]())

        def formed(rule: definitions.Rule = rule, given: dict[str, Any] = given) -> None:
            given["right"] = rule(deltas)

        # The one takes hundredths of a second and is called again and again, the other a minute.
        quick = interleaved({name: lambda run=from_factors: call(run)}, repeats)  # type: ignore[misc]
        slow = call(formed)
        timings |= quick | {f"{name}, formed": Timing((slow,))}
        times = slow.seconds / timings[name].median
        quicker.append(Target(f"{name}: formed / from the factors, times", times, ">=", 100))
        distance = apart(np.asarray(dense(given["merged"]["q"].terms)), given["right"])
        same.append(Target(f"{name}: distance of the two, relative", distance, "<=", 1e-4))
    return Result(
        "factor_space",
        f"How much quicker are merge methods from the factors than on formed deltas (one module of "
        f"{SIDE} x {SIDE}, {ADAPTERS} adapters of rank {RANK}), and do they give the same?",
        timings,
        (*quicker, *same),
    )


def parts(side: int, rank: int, count: int) -> list[superpose.Adapter]:
    """Adapters of one module, their singular values falling as trained ones do."""
    rng = np.random.default_rng(0)
    falling = 0.8 ** np.arange(rank)
    return [
        superpose.Adapter(
            {
                "q": superpose.Delta.of(
                    (0.05 * falling * rng.standard_normal((side, rank))).astype(np.float32),
                    (rng.uniform(-1.0, 1.0, (rank, side)) / np.sqrt(side)).astype(np.float32),
                )
            },
            f"adapter {i}",
        )
        for i in range(count)
    ]


def apart(found: np.ndarray, right: np.ndarray) -> float:
    """|found - right| / |right|."""
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))
