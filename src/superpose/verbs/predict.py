"""What sums do to every domain, measured on a few rows of each or foretold from them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.arguments import typed
from superpose.executor import Execution
from superpose.shown import Framed, Line, Part, Shown
from superpose.verbs.adapters import Adapters
from superpose.verbs.advised import advised_command
from superpose.verbs.base import Base
from superpose.verbs.calibrating import calibrating, data_rows, few_rows
from superpose.verbs.choosing import ChoicesAsked, RightFound, right_of
from superpose.verbs.lots import calibration_folder, meter_in, metered
from superpose.verbs.merging_measured import measured_merge, merge_beside
from superpose.verbs.notes import note
from superpose.verbs.planning import (
    Weightings,
    all_known,
    asked_about,
    calibrated,
    chosen_plan,
    plan_text,
)
from superpose.verbs.predict_rows import measured_on_tests, tests_of
from superpose.verbs.progress import Progress
from superpose.verbs.questions import Data, encoded
from superpose.verbs.same_rows import tune_command
from superpose.verbs.settings import Calibration, Loading
from superpose.verbs.shared_work import check_place

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.landscape.advice import Advice
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.merged_sum import MergedSum
    from superpose.landscape.plan import CalibrationPlan
    from superpose.landscape.predicted import Predicted
    from superpose.landscape.predictions import ForecastVerdict, Predictions
    from superpose.report import Page

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction(Framed, Shown):
    """What is known of every sum, the advice that follows, and what was measured on test rows.

    prompt: what rows were asked in. forecast: what was measured on the calibration rows, and where
    slopes were, a polynomial through it that foretells the rest. plan: which of the two, and what
    they take. advice: None where weights were asked about, and not the sum of all. measured: on
    test rows, of weights, domain and nll. calibration: rows, tokens, forward passes of one row
    each, seconds. adapters, given, data, seed: what the page says of its making. right: what is
    known of questions with choices. merged: the sum of all by another method, where measured.
    tuning: the command that finds the best weights on the same rows.
    """

    TABLE: ClassVar[str] = "predictions"

    base: str
    prompt: Mapping[str, Any]
    forecast: Forecast
    plan: CalibrationPlan
    advice: Advice | None
    measured: tuple[Mapping[str, Any], ...]
    calibration: Mapping[str, Any]
    adapters: tuple[Adapter, ...]
    given: tuple[str, ...]
    data: tuple[tuple[str, str, str], ...]
    seed: int
    seconds: float
    right: RightFound
    merged: MergedSum | None
    tuning: str

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """What makes this doubtful: few rows, or an adapter that a guest outdoes at home."""
        found = self.forecast
        guests = ((d.domain, d.adapter, -d.nll) for d in found.disturbances())
        gains = self.gains
        return (
            *few_rows(len(sample.tokens) for sample in found.samples),
            *(
                f"on {domain} the adapter {adapter} gains {gain:.3f} nats beside its own, "
                f"{found.names[found.domains.index(domain)]}, which gains {gains[domain]:.3f} over "
                "the base: are --data in the adapters' order?"
                for domain, adapter, gain in guests
                if gain > max(gains[domain], 0.0)
            ),
        )

    @cached_property
    def gains(self) -> dict[str, float]:
        """What each domain's own adapter gains over the base, in nats an answer token, measured."""
        found = self.forecast
        nothing = 0.0 * found.own(0)
        return {
            domain: sample.more(sample.measured_at(nothing), sample.measured_at(found.own(i)))[0]
            for i, (domain, sample) in enumerate(zip(found.domains, found.samples, strict=True))
        }

    @cached_property
    def predictions(self) -> list[Predicted]:
        """All that is known: subsets, or what was measured, and what was asked about."""
        return all_known(self.forecast, self.plan)

    @cached_property
    def best(self) -> list[Predicted]:
        """The predictions for the advice's weights, where there are any."""
        weights = None if self.advice is None else self.advice.weights
        return [] if weights is None else self.forecast.predict([list(weights.values())])

    @cached_property
    def asked(self) -> list[Predicted]:
        """What is known of the weights that were asked about."""
        wanted = set(self.plan.weightings)
        return [row for row in self.predictions if tuple(row.weights.values()) in wanted]

    @cached_property
    def known(self) -> Predictions:
        """Everything that is told of task weights, to look up."""
        from superpose.landscape.predictions import Predictions

        found = self.forecast
        rows = [*self.predictions, *self.best]
        return Predictions(found.names, found.domains, rows, self.calibration["rows_of"])

    @cached_property
    def verdict(self) -> ForecastVerdict:
        """Which sums add up, and what to do with the sum of all, in sentences."""
        from superpose.landscape.predictions import forecast_verdict

        advice, known = self.advice, self.known
        verdict, weights = ("", None) if advice is None else (advice.verdict, advice.weights)
        total = self.calibration["rows"]
        return forecast_verdict(known, verdict, weights, total, self.plan.weightings)

    @property
    def command(self) -> str:
        """The command that writes the sum as it is advised, or looks for weights; may be empty."""
        return advised_command(self.advice, self.given, self.tuning)

    @property
    def costs(self) -> dict[str, Any]:
        """What the plan took, and what the other one would have taken: passes, tokens, seconds."""
        cost = self.calibration
        return self.plan.to_json(cost["rows"], cost["tokens"], cost["seconds"])

    @cached_property
    def right_answers(self) -> list[dict[str, Any]]:
        """Right answers of the sums and of the best weights, as `predict --json` has them."""
        return self.right.written(None if self.advice is None else self.advice.weights)

    def to_json(self) -> dict[str, Any]:
        """Give what `predict --json` prints."""
        found, names, advice = self.forecast, self.forecast.names, self.advice
        return {
            "base": self.base,
            "prompt": dict(self.prompt),
            **found.to_json(),
            "plan": self.costs,
            "asked": [row.to_json() for row in self.asked],
            "best": [row.to_json() for row in self.best],
            "advice": None if advice is None else advice.to_json(),
            "tuned": {"+".join(names): found.best_of(names)} if found.foretells else {},
            "measured": list(self.measured),
            "right_answers": self.right_answers,
            "methods": [] if self.merged is None else [self.merged.to_json()],
            "calibration": dict(self.calibration),
        }

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.interference import check
        from superpose.report import Making, predict_page

        made = Making(
            command=command,
            seconds={"calibration": self.calibration["seconds"], "this run": self.seconds},
            seeds=[self.seed],
            base=self.base,
            data=self.data,
        )
        pairs = check(self.adapters, same_base=True).to_json() if len(self.adapters) > 1 else None
        found = self.forecast
        model = self.right.in_model(found.to_model()) if found.foretells else None
        return predict_page(self.to_json(), model, pairs, self.given, made)

    def shown(self) -> tuple[Part, ...]:
        """Give the verdict, every sum (beside its test rows), who disturbs whom, and the plan."""
        from superpose.landscape.right_table import right_parts

        seen = {(tuple(m["weights"].values()), m["domain"]): m["nll"] for m in self.measured}
        asked: tuple[Part, ...] = ()
        if self.asked and self.forecast.foretells:
            from superpose.landscape.predicted import predicted_table

            asked = (predicted_table(self.asked, self.forecast.domains, seen),)
        told = Line(plan_text(self.costs), "Plan:")
        right, merged = right_parts(self.right_answers), self._merged_parts()
        following = [Line(self.command, "Next:", whole=True)] if self.command else []
        seen_parts = self.forecast.shown(seen)
        return (*self.verdict.shown(), *asked, *seen_parts, *right, told, *merged, *following)

    def _merged_parts(self) -> tuple[Part, ...]:
        """Give the sum of all by another method beside task weights, and what writes it."""
        from superpose.landscape.merged_sum import merged_parts

        weights = None if self.advice is None else self.advice.weights
        rows = self.calibration["rows"]
        return () if self.merged is None else merged_parts(self.known, self.merged, weights, rows)


@typed
def predict(
    base: Base | None,
    adapters: Adapters,
    data: Data,
    test: Data = (),
    questions: Calibration = Calibration(),
    loading: Loading = Loading(),
    *,
    plan: str = "auto",
    weights: Weightings = (),
    method: str = "regmean",
    out: str | os.PathLike[str] | None = None,
    execution: Execution = Execution(),
    same_base: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Tell the perplexity of the sums on their domains, and what to do about it.

    base: a name, or a loaded one; None for the adapters' own. adapters: names, or loaded ones.
    data: calibration rows of each adapter's own domain, in the adapters' order. test: other rows of
    the same domains, on which every sum is measured as well. plan: `measure` the sums on the
    calibration rows, or `forecast` them from slopes, which tells of every weight, the best ones and
    modules too; `auto` measures where that takes no more forward passes. weights: weightings to
    tell of in place of every sum, each as `add` takes task weights. method: `regmean` or `ssr`,
    which is measured on the sum of all beside task weights, by this process, in two passes more;
    `none` measures none. out: a folder that keeps what was measured; a prediction that was stopped
    goes on there, and another plan, other weights or test rows measure there what is new alone.
    execution: where it is measured, and by how many workers; those elsewhere need `out`. same_base:
    bases of different names are one. progress: called with work done, how much there is, and what
    is done.

    Raises BadInput for what does not belong together (a domain without an adapter, test rows among
    the calibration rows, adapters of different bases) and for a folder of other rows or adapters,
    Missing where Slurm or Ray cannot be reached, and what reading and loading raise.
    """
    from superpose.landscape.advice import advise

    started = time.perf_counter()
    check_place(out, execution)
    asked_of, beside = asked_about(plan, weights), merge_beside(method)
    ready = calibrating(base, adapters, data, questions, loading, same_base)
    chosen, tests = chosen_plan(ready.names, plan, asked_of), tests_of(test, ready, questions)
    asked = {domain.name: encoded(domain.name, domain.rows, ready.prompt) for domain in tests}
    choices = ChoicesAsked.of(ready, tests, questions)
    wanted = beside if len(ready.adapters) > 1 and not asked_of else None
    with calibration_folder(ready, out, execution) as folder:
        with metered(ready, chosen, (*choices.tokens, asked), folder, execution, progress) as how:
            found, cost = calibrated(ready, chosen, how)
            measured = measured_on_tests(all_known(found, chosen), asked, how)
            right = right_of(found, choices, how)
        merged = measured_merge(wanted, found, ready, asked, questions, meter_in(folder), progress)
    used = data_rows(ready.read, ready.examples, "calibration") + data_rows(tests, asked, "test")
    prediction = Prediction(
        base=ready.base.name, prompt=ready.asked, forecast=found, plan=chosen,
        advice=None if asked_of else advise(found), measured=measured, calibration=cost,
        adapters=ready.adapters, given=ready.given, data=used, seed=questions.seed,
        seconds=time.perf_counter() - started, right=right, merged=merged,
        tuning=tune_command(ready, questions, loading, out),
    )  # fmt: skip
    for caution in prediction.cautions:
        note("warning", caution)
    return prediction
