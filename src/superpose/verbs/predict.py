"""What every sum will do to every domain, from a few rows of each, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting
from superpose.shown import Part, Shown
from superpose.verbs.adapters import Adapters
from superpose.verbs.base import Base
from superpose.verbs.calibrating import Calibrating, calibrating, data_rows
from superpose.verbs.choosing import RightFound, right_of
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.questions import Data, DomainRows, encoded, read_domains
from superpose.verbs.settings import Calibration, Loading

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.prompt import Example
    from superpose.landscape.advice import Advice
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.predicted import Predicted
    from superpose.landscape.predictions import ForecastVerdict
    from superpose.model import SuperposedModel
    from superpose.report import Page

__all__ = ["Prediction", "predict"]

FEW = 16
"""Calibration rows of a domain below which a forecast is a guess, and called one."""


@dataclass(frozen=True)
class Prediction(Shown):
    """A forecast of every sum, the advice that follows, and what was measured on test rows.

    measured: rows of weights, domain and nll, for every subset where test rows were given.
    calibration: rows, tokens, forward passes of one row each, seconds. adapters, given, data, seed:
    what the page says of its making.
    right: what is known of questions with choices.
    """

    base: str
    forecast: Forecast
    advice: Advice
    measured: tuple[Mapping[str, Any], ...]
    calibration: Mapping[str, Any]
    adapters: tuple[Adapter, ...]
    given: tuple[str, ...]
    data: tuple[tuple[str, str, str], ...]
    seed: int
    seconds: float
    right: RightFound

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """What makes the forecast doubtful: few rows, or an adapter that another beats at home."""
        found = self.forecast
        least = min(len(sample.tokens) for sample in found.samples)
        few = f"{least} calibration rows are few: look at the intervals, or give --rows"
        cautions = [few] if least < FEW else []
        for i, loss in enumerate(found.losses):
            alone = [float(loss.value(found.own(k))) for k in range(len(found.names))]
            best = alone.index(min(alone))
            if best != i:
                cautions.append(
                    f"on {found.domains[i]} the adapter {found.names[best]} is better than its "
                    f"own, {found.names[i]}: are --data in the adapters' order?"
                )
        return tuple(cautions)

    @cached_property
    def best(self) -> list[Predicted]:
        """The predictions for the advice's weights."""
        return self.forecast.predict([list(self.advice.weights.values())])

    @cached_property
    def verdict(self) -> ForecastVerdict:
        """Which sums add up, and what to do with the sum of all, in sentences."""
        from superpose.landscape.predictions import Predictions, forecast_verdict

        found, advice = self.forecast, self.advice
        known = Predictions(found.names, found.domains, [*found.every_subset(), *self.best])
        return forecast_verdict(known, advice.verdict, advice.weights, self.calibration["rows"])

    @cached_property
    def right_answers(self) -> list[dict[str, Any]]:
        """Right answers of the sums and of the best weights, as `predict --json` has them."""
        return self.right.written(self.advice.weights)

    def to_json(self) -> dict[str, Any]:
        """Give what `predict --json` prints."""
        found, names = self.forecast, self.forecast.names
        return {
            "base": self.base,
            **found.to_json(),
            "best": [row.to_json() for row in self.best],
            "advice": self.advice.to_json(),
            "tuned": {"+".join(names): found.best_of(names)},
            "measured": list(self.measured),
            "right_answers": self.right_answers,
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
        model = self.forecast.to_model()
        return predict_page(self.to_json(), self.right.in_model(model), pairs, self.given, made)

    def shown(self) -> tuple[Part, ...]:
        """Give the advice, every sum (predicted, beside what was measured), who disturbs whom."""
        from superpose.landscape.right_table import right_parts

        seen = {(tuple(m["weights"].values()), m["domain"]): m["nll"] for m in self.measured}
        right = right_parts(self.right_answers)
        return *self.advice.shown(), *self.forecast.shown(seen), *right


def predict(
    base: Base,
    adapters: Adapters,
    data: Data,
    test: Data = (),
    questions: Calibration = Calibration(),
    loading: Loading = Loading(),
    *,
    same_base: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Predict the perplexity of every sum on every domain, and what to do about it.

    base: a name, or a loaded base model. adapters: names, or loaded ones. data: calibration rows of
    each adapter's own domain, in the adapters' order. test: other rows of the same domains, on
    which every sum is measured as well. same_base: bases of different names are one. progress:
    called with work done, how much there is, and what is done.

    Raises BadInput for what does not belong together (a domain without an adapter, test rows among
    the calibration rows, adapters of different bases), and what reading and loading raise.
    """
    from superpose.landscape.advice import advise
    from superpose.measure.lambda_space import calibration_cost, calibration_work, forecast
    from superpose.model import SuperposedModel

    started = time.perf_counter()
    ready = calibrating(base, adapters, data, questions, loading, same_base)
    tests = _tests(test, ready, questions)
    asked = {domain.name: encoded(domain.name, domain.rows, ready.prompt) for domain in tests}
    calibrated = time.perf_counter()
    with SuperposedModel(ready.base.model, ready.adapters) as superposed:
        advance = advancing(progress, "calibrate", calibration_work(ready.examples))
        found = forecast(superposed, ready.names, ready.examples, progress=advance)
        cost = calibration_cost(ready.examples, time.perf_counter() - calibrated)
        measured = _measured(superposed, found, asked, progress)
        right = right_of(superposed, found, ready, tests, questions, progress)
    used = data_rows(ready.read, ready.examples, "calibration") + data_rows(tests, asked, "test")
    prediction = Prediction(
        base=ready.base.name,
        forecast=found,
        advice=advise(found),
        measured=measured,
        calibration=cost,
        adapters=ready.adapters,
        given=ready.given,
        data=used,
        seed=questions.seed,
        seconds=time.perf_counter() - started,
        right=right,
    )
    for caution in prediction.cautions:
        note("warning", caution)
    return prediction


def _tests(test: Data, ready: Calibrating, questions: Calibration) -> tuple[DomainRows, ...]:
    """Read test rows under the names of their domains; none of them is a calibration row."""
    from superpose.measure.lambda_space import check_apart

    found = read_domains(test, questions)
    if found and len(found) != len(ready.read):
        raise BadSetting(
            f"{len(ready.read)} domains and {len(found)} sets of test questions", where="test"
        )
    tests = []
    for domain, other in zip(ready.read, found, strict=False):
        check_apart(domain.rows, other.rows, other.source or other.name)
        tests.append(DomainRows(domain.name, other.source, other.rows))
    return tuple(tests)


def _measured(
    superposed: SuperposedModel,
    found: Forecast,
    examples: Mapping[str, list[Example]],
    progress: Progress | None,
) -> tuple[Mapping[str, Any], ...]:
    """Give the measured loss of every subset on every domain, where test rows were given."""
    if not examples:
        return ()
    from superpose.landscape.forecast import subsets
    from superpose.measure.evaluate import score

    points = list(subsets(len(found.names)))
    advance = advancing(progress, "measure", len(points) * sum(map(len, examples.values())))
    measured = []
    for point in points:
        weights = dict(zip(found.names, point, strict=True))
        with superposed.at(point) as weighted:
            for domain, rows in examples.items():
                nll = score(weighted, rows, progress=advance).nll
                measured.append({"weights": weights, "domain": domain, "nll": nll})
    return tuple(measured)
