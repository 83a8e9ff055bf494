"""`superpose predict`: what sums do, measured on a few rows of each domain or foretold."""

from __future__ import annotations

from typing import Annotated

import typer

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

__all__ = ["predict"]


@unfolded
def predict(
    *,
    base: BaseOrNot,
    adapters: BehindBase = None,
    data: CalibrationData,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="A domain's test questions, in the same order: every sum is measured on them as "
            "well."
        ),
    ] = None,
    plan: Annotated[
        str,
        typer.Option(
            metavar="auto|measure|forecast",
            help="measure: the sums themselves, on the calibration rows. forecast: slopes, which "
            "tell of every other weight, the best ones and modules too. auto measures where that "
            "takes no more forward passes and no page is wanted, whose desk needs slopes.",
        ),
    ] = "auto",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Task weights to tell of in place of every sum, such as 1,0.5, or a file that "
            "superpose tune --json wrote; may be given several times.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="regmean|ssr|none",
            help="The merge method that is measured on the sum of all, beside task weights: two "
            "forward passes more.",
        ),
    ] = "regmean",
    questions: Calibration,
    loading: Loading,
    out: Measured = None,
    execution: Execution,
    status: Status = False,
    same_base: SameBase = False,
    html: Html = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Tell the perplexity of the sums on their domains, and what to do about it.

    From a few calibration rows of each adapter's own domain. Up to four adapters every sum that
    holds a domain's own adapter is measured on them; of more, or for a page, loss and slope in the
    task weights, at the adapter alone and with each other one beside it, give a polynomial for each
    domain, which foretells every subset and every weighting. It says of every figure which of the
    two it is (~ foretold), with intervals, which adapter disturbs which domain, and gives advice.
    Where rows have choices it tells right answers too, and which questions the sum breaks. Beside
    the weights stands what regmean makes of the sum of all, and the command that writes it.

    Example: superpose predict smollm2 math law -d math.jsonl -d law.jsonl
    """
    from superpose.cli.console import answer, bars

    if status:
        answer(status_of(out, html), json)
        return
    from superpose.verbs.predict import predict as predict_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = predict_all(
            *base_apart(base, adapters), data, test or (), questions, loading,
            plan="forecast" if html and plan == "auto" else plan,
            weights=weights or (), method=method, out=out, execution=execution,
            same_base=same_base, progress=progress,
        )  # fmt: skip
    with pages.showing(found):
        answer(found, json)
