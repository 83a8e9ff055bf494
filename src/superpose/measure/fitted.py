"""Task weights fitted to calibration rows within a budget, as the merge method that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from torch import nn

from superpose.adapter import Adapter
from superpose.compose import FineWeights, RegMeanTuned, TunedSum
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.measure.by_direction import fine_weights
from superpose.measure.finer import RATE, By, finer_work
from superpose.model.superposed import SuperposedModel

__all__ = ["fitted_on_top", "fitted_within"]

_REACH = 0.6
"""How far a weight may move in all, where there are few steps: Adam's rate is that by their
number, and at least its own."""


def fitted_within(
    model: nn.Module,
    adapters: Sequence[Adapter],
    calibration: Mapping[str, Sequence[Example]],
    start: float,
    by: str,
    work: float,
    progress: Callable[[float], None] | None = None,
) -> tuple[TunedSum, float]:
    """Fit the weights of a tuned sum with at most so much work; give it, and the work it took.

    start: the weight that all begin at. by: as `TunedSum` has it. work: in forward passes of one
    row. progress: called with what of it is done. Raises BadInput where that is not enough for one
    step, and as `finer_weights` does.
    """
    steps = 0
    while finer_work(calibration, steps + 1) <= work:
        steps += 1
    if not steps:
        raise BadInput(
            f"{work:g} forward passes are too few to fit a sum's weights by {by}",
            hint="Give more passes over the calibration rows.",
        )
    names = [str(place) for place in range(len(adapters))]
    # A regret's constant moves no mean.
    none = [np.zeros(len(rows)) for rows in calibration.values()]
    with SuperposedModel(model, adapters) as superposed:
        found = fine_weights(
            superposed, names, calibration, [start] * len(adapters), none,
            by=cast("By", by), steps=steps, rate=max(RATE, _REACH / steps), progress=progress,
        )  # fmt: skip
    weights: list[Any] = [FineWeights(found.weights[name]) for name in names]
    return TunedSum(by, tuple(weights)), finer_work(calibration, steps)


def fitted_on_top(
    model: nn.Module,
    adapters: Sequence[Adapter],
    domains: Mapping[str, Sequence[Example]],
    method: RegMeanTuned,
    weights: Sequence[float],
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> RegMeanTuned:
    """Fit the weights of a regression's parts to rows; give the method with them.

    model: the bare base. adapters: by its names for modules. domains: rows of each adapter's own.
    weights: task weights that come before. progress: called with what of `finer_work` is done.
    Raises as `finer_weights` does.
    """
    names = [str(place) for place in range(len(adapters))]
    none = [np.zeros(len(rows)) for rows in domains.values()]
    with SuperposedModel(model, method.apart(adapters, weights)) as superposed:
        found = fine_weights(
            superposed, names, domains, [1.0] * len(adapters), none,
            by=cast("By", method.by), seed=seed, progress=progress,
        )  # fmt: skip
    return replace(method, weights=tuple(FineWeights(found.weights[name]) for name in names))
