"""`superpose tune`: the best task weights for one adapter that serves several domains."""

from __future__ import annotations

from superpose.cli.base_apart import base_apart
from superpose.cli.beside import Html, Pages
from superpose.cli.options import (
    BaseOrNot,
    BehindBase,
    CalibrationData,
    Csv,
    Json,
    Measured,
    Quiet,
    SameBase,
    Status,
)
from superpose.cli.status import status_of
from superpose.cli.unfold import unfolded
from superpose.executor.execution import Execution
from superpose.verbs.settings import Calibration, Loading
from superpose.verbs.tune import Goal

__all__ = ["tune"]


@unfolded
def tune(
    *,
    base: BaseOrNot,
    adapters: BehindBase = None,
    data: CalibrationData,
    goal: Goal,
    questions: Calibration,
    loading: Loading,
    execution: Execution,
    out: Measured = None,
    status: Status = False,
    same_base: SameBase = False,
    html: Html = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Find the task weights of a sum that serves all domains, and say what they are worth.

    The forecast's best weights in closed form, then a few Newton steps on the calibration rows;
    never worse there than the naive sum, the average or any adapter alone. `--by layer` and finer
    fit more weights and hold a quarter of the rows out, so that they do not overfit.

    \b
    Example:
      superpose tune smollm2 math law -d math.jsonl -d law.jsonl --json > weights.json
      superpose add math law --weights weights.json -o both
    """
    from superpose.cli.console import answer, bars

    if status:
        answer(status_of(out, html), json)
        return
    from superpose.verbs.tune import tune as tune_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = tune_all(
            *base_apart(base, adapters), data, goal, questions, loading,
            out=out, execution=execution, same_base=same_base, progress=progress,
        )  # fmt: skip
    with pages.showing(found):
        answer(found, json)
