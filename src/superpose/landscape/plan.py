"""Whether to measure the sums that are asked about, or to foretell them from slopes.

A sum's loss on a calibration row is one forward pass; it is exact for that row. A forecast takes a
fixed number of passes, whatever is asked of it afterwards, and its polynomial may miss. So what is
asked is measured where that takes no more passes than a forecast.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.subsets import design_points

__all__ = ["MOST_MEASURED", "PLANS", "SLOPE_WORK", "CalibrationPlan", "asked_points", "plan_of"]

Array = NDArray[np.float64]

PLANS = ("auto", "measure", "forecast")

SLOPE_WORK = 2.0
"""A slope costs about two forward passes: forward, and back through the activations alone."""

MOST_MEASURED = 12
"""Adapters whose every sum can be measured: 2,048 passes of each domain's rows."""


@dataclass(frozen=True)
class CalibrationPlan:
    """What is done, and what the other way would have taken.

    chosen: `measure` or `forecast`. measure, forecast: forward passes of each calibration row that
    the two take. weightings: those that are asked about, (S, K) in all; empty for every sum.
    """

    chosen: str
    measure: float
    forecast: float
    weightings: tuple[tuple[float, ...], ...] = ()

    @property
    def passes(self) -> float:
        """Forward passes of each row that are taken."""
        return self.measure if self.chosen == "measure" else self.forecast

    @property
    def other(self) -> str:
        """What was not chosen."""
        return "forecast" if self.chosen == "measure" else "measure"

    def to_json(self, rows: int, tokens: int, seconds: float) -> dict[str, Any]:
        """Give both ways with what they take; the seconds of the other one by its passes.

        rows, tokens: of calibration, all domains together. seconds: that were taken.
        """
        ways = {
            way: {
                "passes": passes,
                "tokens": round(tokens * passes),
                "seconds": round(seconds * passes / self.passes, 2),
            }
            for way, passes in (("measure", self.measure), ("forecast", self.forecast))
        }
        return {"chosen": self.chosen, "rows": rows, **ways}


def plan_of(
    adapters: int, plan: str = "auto", weightings: Sequence[Sequence[float]] = ()
) -> CalibrationPlan:
    """Decide how K adapters' sums are told of.

    plan: `measure` or `forecast`, or `auto`, which measures where that takes no more passes.
    weightings: what is asked about; none asks for every sum.

    Raises BadInput where more sums were to be measured than can be.
    """
    asked = tuple(tuple(float(weight) for weight in each) for each in weightings)
    if asked:
        per_domain = [len(asked_points(i, adapters, asked)) for i in range(adapters)]
        measure = float(np.mean(per_domain))
    else:
        measure = float(2 ** (adapters - 1) + 1)
    with_slope, plain = design_points(0, adapters)
    forecast = SLOPE_WORK * len(with_slope) + len(plain)
    chosen = plan
    if plan == "auto":
        chosen = "measure" if measure <= forecast else "forecast"
    if chosen == "measure" and not asked and adapters > MOST_MEASURED:
        raise BadInput(
            f"{adapters} adapters have {2**adapters:,} sums, too many to measure them all",
            hint="Leave the plan to be chosen, or ask about some weights.",
        )
    return CalibrationPlan(chosen, measure, forecast, asked)


def asked_points(
    domain: int, adapters: int, weightings: Sequence[Sequence[float]] = ()
) -> list[Array]:
    """Give what has to be measured of a domain, each once: (K,) task weights.

    The base and its own adapter, which its share of the gain is counted by, and what is asked:
    every sum that holds its own adapter, or these weightings.
    """
    own = np.eye(adapters)[domain]
    if weightings:
        asked = [np.asarray(each, dtype=np.float64) for each in weightings]
    else:
        rest = [k for k in range(adapters) if k != domain]
        asked = [
            own + np.eye(adapters)[list(chosen)].sum(axis=0)
            for size in range(1, adapters)
            for chosen in itertools.combinations(rest, size)
        ]
    found: dict[tuple[float, ...], Array] = {}
    for point in (np.zeros(adapters), own, *asked):
        found.setdefault(tuple((point + 0.0).tolist()), point)
    return list(found.values())
