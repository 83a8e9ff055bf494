"""`superpose predict`: what every sum will do, from a few rows of each domain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.html import Html, Pages, checked, data_rows
from superpose.cli.options import (
    AnswerColumn,
    Base,
    Dtype,
    IgnoreKey,
    Json,
    MaxTokens,
    QuestionColumn,
    Quiet,
    SameBase,
    Template,
)

if TYPE_CHECKING:
    from superpose.data.domain import Row
    from superpose.data.prompt import Example
    from superpose.landscape.advice import Advice
    from superpose.landscape.forecast import Forecast
    from superpose.report import Page

__all__ = ["Data", "Names", "calibration_rows", "predict"]

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER...", help="Adapters: folders, files or hub names.", show_default=False
    ),
]
Data = Annotated[
    list[str],
    typer.Option(
        "--data", "-d",
        help="A domain's calibration questions, once for each adapter, in the adapters' order.",
        show_default=False,
    ),
]  # fmt: skip
Test = Annotated[
    list[str] | None,
    typer.Option(
        help="A domain's test questions, in the same order: every sum is measured on them as well."
    ),
]
Rows = Annotated[int, typer.Option(help="Calibration rows of each domain, drawn by seed.")]


def predict(
    base: Base,
    adapters: Names,
    data: Data,
    test: Test = None,
    rows: Rows = 64,
    max_tokens: MaxTokens = 128,
    template: Template = "",
    question: QuestionColumn = "question",
    answer: AnswerColumn = "answer",
    seed: Annotated[int, typer.Option(help="Draws the rows.")] = 0,
    dtype: Dtype = "float32",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    html: Html = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the perplexity of every sum on every domain, and what to do about it.

    From a few calibration rows of each adapter's own domain: the loss and its slope in the task
    weights, at the adapter alone and with each other one beside it, give a polynomial for each
    domain. It predicts every subset and every weighting, with intervals, says which adapter
    disturbs which domain and through which modules, and gives advice.

    Example: superpose predict smollm2 math law -d math.jsonl -d law.jsonl
    """
    from superpose.cli import running
    from superpose.cli.console import out, print_json, progress
    from superpose.cli.forecasts import print_forecast
    from superpose.cli.summing import given_to_add
    from superpose.interference import told_apart
    from superpose.landscape.advice import advise
    from superpose.measure.lambda_space import calibration_cost, calibration_work, forecast
    from superpose.model import SuperposedModel, load_base

    pages = Pages(html)
    loaded = running.load_same_base(adapters, ignore_key, base, same_base)
    names = told_apart(loaded)
    read = calibration_rows(data, len(names), question, answer)
    tests = _tests(test or [], read, question, answer)
    model = load_base(base, dtype=dtype)
    prompt = running.prompt_of(model, max_tokens, template)
    examples = {n: running.encoded(n, found, prompt, rows, seed) for n, found in read.items()}
    asked = {n: running.encoded(n, found, prompt, None, 0) for n, found in tests.items()}
    started = time.perf_counter()
    with progress(quiet=quiet) as bars, SuperposedModel(model.model, loaded) as superposed:
        task = bars.add_task("calibrate", total=calibration_work(examples))
        found = forecast(superposed, names, examples, progress=lambda n: bars.advance(task, n))
        seconds = time.perf_counter() - started
        measured = _measured(superposed, found, asked, bars)
    advice = advise(found)
    _warn(found)
    content = _as_json(model.name, found, advice, measured)
    content["calibration"] = calibration_cost(examples, seconds)

    def page() -> Page:
        from superpose.report import predict_page

        used = [
            *data_rows(data, examples, "calibration"),
            *data_rows(test or [], asked, "test"),
        ]
        made = pages.made({"calibration": seconds}, seeds=[seed], base=base, data=used)
        given = given_to_add(adapters, base, same_base, ignore_key)
        return predict_page(content, found.to_model(), checked(loaded), given, made)

    with pages.beside(page):
        if json:
            print_json(content)
        else:
            print_forecast(out(), found, advice, measured)


FEW = 16
"""Calibration rows of a domain below which a forecast is a guess, and called one."""


def _warn(found: Forecast) -> None:
    """Say what makes a forecast doubtful: few rows, or an adapter that another beats at home."""
    import numpy as np

    from superpose.cli.console import note

    least = min(len(sample.tokens) for sample in found.samples)
    if least < FEW:
        note("warning", f"{least} calibration rows are few: look at the intervals, or give --rows")
    for i, loss in enumerate(found.losses):
        alone = [loss.value(found.own(k)) for k in range(len(found.names))]
        best = int(np.argmin(alone))
        if best != i:
            note(
                "warning",
                f"on {found.domains[i]} the adapter {found.names[best]} is better than its own, "
                f"{found.names[i]}: are --data in the adapters' order?",
            )


def calibration_rows(
    data: Sequence[str], adapters: int, question: str, answer: str
) -> dict[str, list[Row]]:
    """Read each domain's rows; raises BadInput for another number of files than of adapters."""
    from superpose.cli import running
    from superpose.errors import BadInput

    sources = running.domain_names(data)
    if len(sources) != adapters:
        raise BadInput(
            f"{adapters} adapters and {len(sources)} domains",
            where="--data",
            hint="Give --data once for each adapter, in the adapters' order: a domain without an "
            "adapter, or an adapter without a domain, has nothing to be predicted.",
        )
    return {name: running.read_all([s], question, answer) for name, s in sources.items()}


def _tests(
    test: Sequence[str], calibration: dict[str, list[Row]], question: str, answer: str
) -> dict[str, list[Row]]:
    from superpose.cli import running
    from superpose.errors import BadInput
    from superpose.measure.lambda_space import check_apart

    if test and len(test) != len(calibration):
        raise BadInput(
            f"{len(calibration)} domains and {len(test)} sets of test questions", where="--test"
        )
    found = {}
    for (name, rows), source in zip(calibration.items(), test, strict=False):
        found[name] = running.read_all([source], question, answer)
        check_apart(rows, found[name], source)
    return found


def _measured(
    superposed: Any, found: Forecast, examples: dict[str, list[Example]], bars: Any
) -> list[dict[str, Any]]:
    """Give the measured loss of every subset on every domain, where test rows were given."""
    if not examples:
        return []
    from superpose.landscape.forecast import subsets
    from superpose.measure.evaluate import score

    points = list(subsets(len(found.names)))
    task = bars.add_task("measure", total=len(points) * sum(map(len, examples.values())))
    measured = []
    for point in points:
        weights = dict(zip(found.names, point, strict=True))
        with superposed.at(point) as weighted:
            for domain, rows in examples.items():
                scored = score(weighted, rows, progress=lambda n: bars.advance(task, n))
                measured.append({"weights": weights, "domain": domain, "nll": scored.nll})
    return measured


def _as_json(
    base: str, found: Forecast, advice: Advice, measured: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "base": base,
        **found.to_json(),
        "best": [row.to_json() for row in found.predict([list(advice.weights.values())])],
        "advice": advice.to_json(),
        "tuned": {"+".join(found.names): found.best_of(found.names)},
        "measured": measured,
    }
