"""What predict is asked about, in which of two ways it answers, and what the two take."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from superpose.errors import BadSetting
from superpose.shown.words import counted
from superpose.verbs.adapters import as_number
from superpose.verbs.calibrating import Calibrating
from superpose.verbs.lots import Metered
from superpose.verbs.progress import advancing
from superpose.verbs.weighted import parse_weights
from superpose.verbs.weights_file import TaskWeights, read_weights_file

if TYPE_CHECKING:
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.plan import CalibrationPlan
    from superpose.landscape.predicted import Predicted

__all__ = [
    "Weightings",
    "all_known",
    "asked_about",
    "calibrated",
    "chosen_plan",
    "plan_text",
    "weighting",
]

Weightings: TypeAlias = Sequence[TaskWeights]
"""Several, each as `add` takes task weights: numbers, a mapping by name, or `tune`'s file."""

_GIVES = {
    "measure": "measure every sum that holds a domain's own adapter: --plan measure",
    "forecast": "tell of other weights, the best ones and modules too: --plan forecast",
}


def asked_about(plan: str, weights: Weightings) -> list[TaskWeights]:
    """Give the weightings that are asked about, one by one.

    Raises BadSetting for a plan that there is not, and for one weighting in place of several.
    """
    from superpose.landscape.plan import PLANS

    if plan not in PLANS:
        raise BadSetting(f"{plan!r} is none of {', '.join(PLANS)}", where="plan")
    if isinstance(weights, str | os.PathLike | Mapping) or not isinstance(weights, Sequence):
        raise BadSetting(
            f"{weights!r} is no list of weightings",
            where="weights",
            hint="Give a list of them, each with a task weight for every adapter: [(1, 0.5)].",
        )
    return list(weights)


def chosen_plan(names: Sequence[str], plan: str, asked: Sequence[TaskWeights]) -> CalibrationPlan:
    """Decide how the sums of these adapters are told of."""
    from superpose.landscape.plan import plan_of

    return plan_of(len(names), plan, [weighting(each, names) for each in asked])


def weighting(weights: TaskWeights, names: Sequence[str]) -> tuple[float, ...]:
    """Give one weighting as numbers in the adapters' order.

    Raises BadSetting for another number of weights than of adapters, or other names, and for
    weights by module, which lie in no lambda space of as many weights as adapters.
    """
    if isinstance(weights, str | os.PathLike) and os.path.isfile(weights):  # noqa: PTH113
        file = read_weights_file(weights)
        if file.modules:
            raise BadSetting("holds weights by module, and a sum is asked about by one weight "
                             "for each adapter", where=str(weights))  # fmt: skip
        weights = file.weights
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise BadSetting(
                f"weights of {', '.join(map(str, weights))}, and the adapters are "
                f"{', '.join(names)}",
                where="weights",
            )
        weights = [weights[name] for name in names]
    if isinstance(weights, str | os.PathLike):
        weights = parse_weights(os.fspath(weights))
    if not isinstance(weights, Sequence):
        raise BadSetting(f"{weights!r} is no task weights", where="weights")
    numbers = tuple(as_number(weight) for weight in weights)
    if len(numbers) != len(names):
        raise BadSetting(
            f"{counted(len(numbers), 'task weight')} and {counted(len(names), 'adapter')}: "
            f"{', '.join(names)}",
            where="weights",
        )
    return numbers


def plan_text(costs: Mapping[str, Any]) -> str:
    """Say what was done, what it took, and what the other way takes. costs: of `to_json`."""
    chosen, other = costs["chosen"], "forecast" if costs["chosen"] == "measure" else "measure"
    done, left = costs[chosen], costs[other]
    what = "measured" if chosen == "measure" else "foretold from slopes"
    return (
        f"{what}, {done['passes']:g} forward passes of each of {costs['rows']} calibration rows "
        f"({done['tokens']:,} tokens, {done['seconds']:.0f} s); {left['passes']:g} passes "
        f"({left['tokens']:,} tokens, about {left['seconds']:.0f} s) {_GIVES[other]}"
    )


def calibrated(
    ready: Calibrating, plan: CalibrationPlan, how: Metered
) -> tuple[Forecast, dict[str, Any]]:
    """Measure what the plan says, on the calibration rows; give what is known and what it took."""
    from superpose.measure.lambda_space import calibration_cost, forecast, measure_asked

    began, rows = time.perf_counter(), sum(map(len, ready.examples.values()))
    advance = advancing(how.progress, "calibrate", plan.passes * rows)
    asked = how.model, ready.names, ready.examples
    if plan.chosen == "forecast":
        found = forecast(*asked, progress=advance, meter=how.meter)
    else:
        found = measure_asked(*asked, plan, progress=advance, meter=how.meter)
    seconds = time.perf_counter() - began if how.seconds is None else how.seconds
    return found, calibration_cost(ready.examples, seconds, plan.passes)


def all_known(found: Forecast, plan: CalibrationPlan) -> list[Predicted]:
    """Give all that is known of the sums, and of what was asked about behind it."""
    rows = found.known()
    seen = {tuple(row.weights.values()) for row in rows}
    more = [each for each in plan.weightings if each not in seen]
    return [*rows, *(found.predict(more) if more else [])]
