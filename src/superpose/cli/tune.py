"""`superpose tune`: the best task weights for one adapter that serves several domains."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.html import Html, Pages, data_rows
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
from superpose.cli.predict import Data, Names, calibration_rows

if TYPE_CHECKING:
    from superpose.data.prompt import Example
    from superpose.landscape.forecast import Forecast
    from superpose.measure.finer import Finer
    from superpose.measure.tune import Tuned
    from superpose.model import SuperposedModel
    from superpose.report import Page

__all__ = ["tune"]

Goal = Annotated[
    str,
    typer.Option(
        help="mean: the domains' mean regret against their own adapters; worst: the largest."
    ),
]
By = Annotated[
    str,
    typer.Option(help="One weight for each adapter, or for each of its layers, kinds or modules."),
]
Least = Annotated[
    float,
    typer.Option(help="Bounds every weight that is looked for, of every adapter, from below."),
]
Most = Annotated[
    float,
    typer.Option(
        help="Bounds them from above. The naive sum, the average and each adapter alone are "
        "measured in any case, and chosen inside the bounds only."
    ),
]
Rows = Annotated[int, typer.Option(help="Calibration rows of each domain, drawn by seed.")]


def tune(
    base: Base,
    adapters: Names,
    data: Data,
    objective: Goal = "mean",
    by: By = "adapter",
    least: Least = 0.0,
    most: Most = 1.5,
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
    """Find the task weights of a sum that serves all domains, and say what they are worth.

    The forecast's best weights in closed form, then a few Newton steps on the calibration rows;
    never worse there than the naive sum, the average or any adapter alone. `--by layer` and finer
    fit more weights and hold a quarter of the rows out, so that they do not overfit.

    \b
    Example:
      superpose tune smollm2 math law -d math.jsonl -d law.jsonl --json > weights.json
      superpose add math law --weights weights.json -o both
    """
    from superpose.cli import running
    from superpose.cli.console import out, print_json, progress
    from superpose.cli.summing import given_to_add
    from superpose.interference import told_apart
    from superpose.measure.lambda_space import calibration_work, forecast
    from superpose.measure.tune import tune as tune_weights, tuning_work
    from superpose.model import SuperposedModel, load_base

    _check(objective, by, least, most)
    pages = Pages(html)
    loaded = running.load_same_base(adapters, ignore_key, base, same_base)
    names = told_apart(loaded)
    read = calibration_rows(data, len(names), question, answer)
    model = load_base(base, dtype=dtype)
    prompt = running.prompt_of(model, max_tokens, template)
    examples = {n: running.encoded(n, found, prompt, rows, seed) for n, found in read.items()}
    goal: Any = {"objective": objective, "bounds": (least, most)}
    with progress(quiet=quiet) as bars, SuperposedModel(model.model, loaded) as superposed:
        work = calibration_work(examples) + tuning_work(examples)
        task = bars.add_task("calibrate and tune", total=work)
        found = forecast(superposed, names, examples, progress=lambda n: bars.advance(task, n))
        tuned = tune_weights(
            superposed, examples, found, progress=lambda n: bars.advance(task, n), **goal
        )
        bars.update(task, completed=work)
        finer = None
        if by != "adapter":
            finer = _finer(superposed, found, examples, tuned, bars, by=by, seed=seed, **goal)
    content = {"base": model.name, **_as_json(found, tuned, finer)}
    given = given_to_add(adapters, base, same_base, ignore_key)

    def page() -> Page:
        from superpose.report import tune_page

        used = data_rows(data, examples, "calibration")
        made = pages.made(seeds=[seed], base=base, data=used)
        return tune_page(content, _of_base(found), found.to_model(), given, made)

    with pages.beside(page):
        if json:
            print_json(content)
        else:
            _tell(out(), tuned, finer, given)


def _finer(
    superposed: SuperposedModel,
    found: Forecast,
    examples: dict[str, list[Example]],
    tuned: Tuned,
    bars: Any,
    **settings: Any,
) -> Finer:
    from superpose.measure.finer import finer_weights, finer_work

    task = bars.add_task(f"tune by {settings['by']}", total=finer_work(examples))
    own = [s.nll[s.at(found.own(i))] for i, s in enumerate(found.samples)]
    return finer_weights(
        superposed,
        found.names,
        examples,
        tuned.best.weights,
        own,
        progress=lambda n: bars.advance(task, n),
        **settings,
    )


def _as_json(found: Forecast, tuned: Tuned, finer: Finer | None) -> dict[str, Any]:
    predicted = found.predict([list(tuned.best.weights)])
    return {
        **tuned.to_json(),
        "predicted": [row.to_json() for row in predicted],
        "finer": None if finer is None else finer.to_json(),
    }


def _of_base(found: Forecast) -> dict[str, float]:
    """The base's measured loss on each domain's calibration rows."""
    import numpy as np

    nothing = np.zeros(len(found.names))
    return {
        d: float(s.loss[s.at(nothing)]) for d, s in zip(found.domains, found.samples, strict=True)
    }


def _check(objective: str, by: str, least: float, most: float) -> None:
    from superpose.errors import BadInput

    if objective not in ("mean", "worst"):
        raise BadInput(f"`{objective}` is neither `mean` nor `worst`", where="--objective")
    if by not in ("adapter", "layer", "kind", "module"):
        raise BadInput(f"`{by}` is none of adapter, layer, kind and module", where="--by")
    if not (math.isfinite(least) and math.isfinite(most) and least < most):
        raise BadInput(f"{least:g} to {most:g} is no range of weights", where="--least, --most")


def _tell(console: Any, tuned: Tuned, finer: Finer | None, given: list[str]) -> None:
    from rich.text import Text

    from superpose.adapter import formula
    from superpose.cli.tables import plain_table

    table = plain_table()
    table.title = "Perplexity of the answers on the calibration rows"
    table.add_column("task weights")
    for domain in tuned.domains:
        table.add_column(Text(domain), justify="right")
    table.add_column("objective", justify="right")
    for point in sorted(tuned.points, key=lambda point: point.objective):
        weights = dict(zip(tuned.names, (round(w, 3) for w in point.weights), strict=True))
        cells = [f"{math.exp(min(nll, 700)):.3g}" for nll in point.nll]
        label = f"{point.method}: {formula(weights)}"
        table.add_row(Text(label), *cells, f"{point.objective:+.4f}")
    console.print(table)
    numbers = ",".join(f"{weight:.4g}" for weight in tuned.best.weights)
    command = shlex.join(["superpose", "add", *given, f"--weights={numbers}", "-o", "OUT"])
    console.print(Text(f"Best: {command}"), soft_wrap=True)
    if finer is not None:
        console.print(
            f"{finer.groups} weights an adapter, by {finer.by}: {finer.start:+.4f} becomes "
            f"{finer.end:+.4f} on held-out rows. --json > weights.json has them, for "
            "superpose add --weights weights.json",
            markup=False,
        )
