"""A seed's forecast in a study: measured once, then all that it says, as one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.files import without_nan
from superpose.landscape.advice import advise
from superpose.measure.lambda_space import calibration_cost, calibration_work, forecast
from superpose.model import BaseModel, SuperposedModel

__all__ = ["check_file", "forecast_file", "forecast_json", "forecast_tokens"]


def check_file(seed: int) -> str:
    """Where what the weights of a seed's adapters tell lies within the study's folder."""
    return f"cells/seed-{seed}/check.json"


def forecast_file(seed: int) -> str:
    """Where a seed's forecast lies within the study's folder."""
    return f"cells/seed-{seed}/forecast.json"


def forecast_json(
    base: BaseModel,
    adapters: Sequence[Adapter],
    domains: Mapping[str, Sequence[Example]],
    subsets: Sequence[tuple[str, ...]],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Measure the calibration rows, and give everything that follows, as JSON.

    adapters: each under its domain's name. domains: calibration rows, in the adapters' order.
    progress: called with forward tokens done, `forecast_tokens` in all.

    subsets: of several adapters, by domain. The keys of `predict --json`, and `tuned`: for each of
    these, joined by `+`, the task weights that are best for its own domains on the mean. model: the
    small model (`Forecast.to_model`).
    """
    names = list(domains)
    per_row = forecast_tokens(domains) / calibration_work(domains)
    started = time.perf_counter()
    with SuperposedModel(base.model, adapters) as model:
        found = forecast(model, names, domains, progress=lambda rows: progress(rows * per_row))
    cost = calibration_cost(domains, time.perf_counter() - started)
    advice = advise(found)
    best = list((advice.weights or {}).values())
    content = found.to_json() | {
        "advice": advice.to_json(),
        "best": [row.to_json() for row in found.predict([best])],
        "tuned": {"+".join(each): found.best_of(each) for each in subsets},
        "calibration": cost,
        "model": found.to_model(),
    }
    return {key: without_nan(value) for key, value in content.items()}


def forecast_tokens(domains: Mapping[str, Sequence[Example]]) -> float:
    """Give the work of a forecast in forward tokens."""
    cost = calibration_cost(domains, 0.0)
    return float(cost["tokens"] * cost["forward_equivalents"])
