"""`superpose predict`: what every sum will do, from a few rows of each domain."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.html import Html, Pages
from superpose.cli.options import AdapterNames, Base, CalibrationData, Json, Quiet, SameBase
from superpose.cli.unfold import unfolded
from superpose.verbs.settings import Calibration, Loading

__all__ = ["predict"]


@unfolded
def predict(
    *,
    base: Base,
    adapters: AdapterNames,
    data: CalibrationData,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="A domain's test questions, in the same order: every sum is measured on them as "
            "well."
        ),
    ] = None,
    questions: Calibration,
    loading: Loading,
    same_base: SameBase = False,
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
    from superpose.cli.console import answer, bars
    from superpose.verbs.predict import predict as predict_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = predict_all(
            base, adapters, data, test or (), questions, loading,
            same_base=same_base, progress=progress,
        )  # fmt: skip
    with pages.showing(found):
        answer(found, json)
