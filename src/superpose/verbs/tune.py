"""The best task weights of a sum that serves several domains, and what they are worth."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.executor import Execution
from superpose.option import Option
from superpose.shown import Framed, Line, Part, Shown
from superpose.verbs.adapters import Adapters
from superpose.verbs.base import Base
from superpose.verbs.calibrating import Calibrating, calibrating, data_rows, few_rows
from superpose.verbs.lots import calibration_folder, worked_off
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.questions import Data
from superpose.verbs.settings import Calibration, Loading, TypedSettings, held
from superpose.verbs.shared_work import check_place

if TYPE_CHECKING:
    from superpose.landscape.forecast import Forecast
    from superpose.measure.finer import Finer
    from superpose.measure.lot import WeightSearch
    from superpose.measure.tune import Tuned
    from superpose.model import SuperposedModel
    from superpose.report import Page

__all__ = ["Goal", "Tuning", "tune", "tuned_on"]

_MOST = 1e6
"""Of a task weight that is looked for: its fourth power is one of the forecast's terms."""


@dataclass(frozen=True)
class Goal(TypedSettings):
    """Which task weights are the best ones.

    Raises BadSetting for another word, or for bounds that leave no weights.
    """

    objective: Annotated[
        str,
        Option(
            "mean: the domains' mean regret against their own adapters; worst: the largest.",
            metavar="mean|worst",
        ),
    ] = "mean"
    by: Annotated[
        str,
        Option(
            "One weight for each adapter, or for each of its layers, kinds, modules or directions, "
            "the rank-one terms of its deltas.",
            metavar="adapter|layer|kind|module|direction",
        ),
    ] = "adapter"
    least: Annotated[
        float, "Bounds every weight that is looked for, of every adapter, from below."
    ] = 0.0
    most: Annotated[
        float,
        "Bounds them from above. The naive sum, the average and each adapter alone are measured in "
        "any case, and chosen inside the bounds only.",
    ] = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective not in ("mean", "worst"):
            raise BadSetting(f"`{self.objective}` is neither `mean` nor `worst`", where="objective")
        if self.by != "adapter":
            from superpose.compose import TunedSum

            TunedSum(self.by)
        if not -_MOST <= self.least < self.most <= _MOST:
            raise BadSetting(
                f"{self.least:g} to {self.most:g} is no range of weights", where="least, most"
            )

    @property
    def searched(self) -> dict[str, Any]:
        """What a search for weights takes: objective, bounds, and what has a weight of its own."""
        bounds = (self.least, self.most)
        return {"objective": self.objective, "bounds": bounds, "by": self.by}


@dataclass(frozen=True)
class Tuning(Framed, Shown):
    """The best weights with everything that was measured, and the forecast they started from.

    prompt: what rows were asked in. finer: one weight for each module, where it was asked for.
    given, data, seed, seconds: what the page says of its making.
    """

    TABLE: ClassVar[str] = "measured"

    base: str
    prompt: Mapping[str, Any]
    forecast: Forecast
    tuned: Tuned
    finer: Finer | None
    given: tuple[str, ...]
    data: tuple[tuple[str, str, str], ...]
    seed: int
    seconds: float

    @property
    def weights(self) -> dict[str, float]:
        """The best task weight of each adapter."""
        return self.tuned.weights

    @property
    def command(self) -> str:
        """The command that writes the sum with these weights."""
        numbers = ",".join(f"{weight:.4g}" for weight in self.tuned.best.weights)
        words = ["superpose", "add", *self.given, f"--weights={numbers}", "-o", "OUT"]
        return shlex.join(words)

    @property
    def finer_command(self) -> str:
        """The command that writes the sum with the finer weights, once weights.json has them."""
        words = ["superpose", "add", *self.given, "--weights", "weights.json", "-o", "OUT"]
        return shlex.join(words)

    def to_json(self) -> dict[str, Any]:
        """Give what `tune --json` prints, which `add --weights FILE` reads."""
        predicted = self.forecast.predict([list(self.tuned.best.weights)])
        return {
            "base": self.base,
            "prompt": dict(self.prompt),
            **self.tuned.to_json(),
            "predictions": [row.to_json() for row in predicted],
            "finer": None if self.finer is None else self.finer.to_json(),
        }

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        import numpy as np

        from superpose.report import Making, tune_page

        found = self.forecast
        nothing = np.zeros(len(found.names))
        losses = [float(sample.loss[sample.at(nothing)]) for sample in found.samples]
        made = Making(
            command=command,
            seconds={"this run": self.seconds},
            seeds=[self.seed],
            base=self.base,
            data=self.data,
        )
        of_base = dict(zip(found.domains, losses, strict=True))
        return tune_page(self.to_json(), of_base, found.to_model(), self.given, made)

    def shown(self) -> tuple[Part, ...]:
        """Give everything that was measured, the best first, and what writes the sum."""
        best = Line(self.command, "Best:", whole=True)
        if self.finer is None:
            return *self.tuned.shown(), best
        adds = Line(self.finer_command, f"With these, by {self.finer.by}:", whole=True)
        return *self.tuned.shown(), best, *self.finer.shown(), adds


@typed
def tune(
    base: Base | None,
    adapters: Adapters,
    data: Data,
    goal: Goal = Goal(),
    questions: Calibration = Calibration(),
    loading: Loading = Loading(),
    *,
    out: str | os.PathLike[str] | None = None,
    execution: Execution = Execution(),
    same_base: bool = False,
    progress: Progress | None = None,
) -> Tuning:
    """Find the task weights of a sum that serves all domains, and say what they are worth.

    base: a name, or a loaded one; None for the adapters' own. adapters: names, or loaded ones.
    data: calibration rows of each adapter's own domain, in the adapters' order. out: a folder that
    keeps what was measured; a search that was stopped goes on there, and what `predict` measured
    there is not measured again. execution: where domains are measured, and by how many workers;
    those elsewhere need `out`. same_base: bases of different names are one. progress: called with
    work done, how much there is, and what is done.

    Raises BadInput for what does not belong together and for a folder of other rows or adapters,
    Missing where Slurm or Ray cannot be reached, and what reading and loading raise.
    """
    held(goal, Goal, "goal")
    check_place(out, execution)
    from superpose.measure.lot import Lot, LotBench, WeightSearch
    from superpose.model import SuperposedModel

    started = time.perf_counter()
    ready = calibrating(base, adapters, data, questions, loading, same_base)
    search = WeightSearch(**goal.searched, seed=questions.seed)
    with calibration_folder(ready, out, execution) as folder:
        if folder is None:
            found = tuned_on(ready, goal, questions.seed, progress)
        else:
            with SuperposedModel(ready.base.model, ready.adapters) as superposed:
                lot = Lot(ready.names, ready.examples)
                bench = LotBench(folder, superposed, lot, search)
                worked_off(bench, lot.tuning(search, bench.kept), ready, execution, progress)
                found = bench.forecast, bench.tuned(), bench.finer()
    for caution in few_rows(map(len, ready.examples.values())):
        note("warning", caution)
    used = data_rows(ready.read, ready.examples, "calibration")
    seconds = time.perf_counter() - started
    return Tuning(ready.base.name, ready.asked, *found, ready.given, used, questions.seed, seconds)


def tuned_on(
    ready: Calibrating, goal: Goal, seed: int = 0, progress: Progress | None = None
) -> tuple[Forecast, Tuned, Finer | None]:
    """Find the weights on calibration rows that are read: the forecast, the best, the finer."""
    from superpose.measure.lot import WeightSearch
    from superpose.model import SuperposedModel

    search = WeightSearch(**goal.searched, seed=seed)
    with SuperposedModel(ready.base.model, ready.adapters) as superposed:
        return _here(superposed, ready, search, progress)


def _here(
    superposed: SuperposedModel, ready: Calibrating, search: WeightSearch, progress: Progress | None
) -> tuple[Forecast, Tuned, Finer | None]:
    """Calibrate and search in this process, and keep nothing."""
    from superpose.measure.finer import finer_work
    from superpose.measure.lambda_space import calibration_work, forecast
    from superpose.measure.lot import fitted_finer
    from superpose.measure.tune import tune as tuned_weights, tuning_work

    rows = ready.examples
    work = calibration_work(rows) + tuning_work(rows)
    advance = advancing(progress, "calibrate and tune", work)
    found = forecast(superposed, ready.names, rows, progress=advance)
    tuned = tuned_weights(
        superposed, rows, found, progress=advance, objective=search.objective, bounds=search.bounds
    )
    if progress is not None:  # steps that were not needed are done
        progress(work, work, "calibrate and tune")
    if search.by == "adapter":
        return found, tuned, None
    advance = advancing(progress, f"tune by {search.by}", finer_work(rows))
    return found, tuned, fitted_finer(superposed, rows, found, tuned, search, advance)
