"""How fast a machine takes question rows through a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from superpose.data.prompt import Example
from superpose.measure.evaluate import score

__all__ = ["PACE_ROWS", "forward_pace"]

PACE_ROWS = 8
"""Rows that a pace is measured on: seconds, on two cores."""


def forward_pace(model: Any, rows: Sequence[Example]) -> float:
    """Give the tokens a second of a pass forward over PACE_ROWS of the rows.

    It is done twice and the second counts, as the first has things to set up.
    """
    rows = rows[:PACE_ROWS]
    score(model, rows)
    started = time.perf_counter()
    score(model, rows)
    return sum(example.length for example in rows) / (time.perf_counter() - started)
