"""`superpose eval`: the perplexity of every subset on every domain."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.base_apart import base_apart
from superpose.cli.options import Adapters, BaseOrNot, Csv, Json, Quiet, Weights
from superpose.cli.unfold import unfolded
from superpose.verbs.evaluate import TestQuestions
from superpose.verbs.settings import Loading

__all__ = ["evaluate"]


@unfolded
def evaluate(
    *,
    base: BaseOrNot,
    adapters: Adapters = None,
    data: Annotated[
        list[str],
        typer.Option("--data", "-d", help="A domain's test questions; once for each domain."),
    ],
    only: Annotated[
        str, typer.Option(help="all: every subset; sum: base, singles and the whole sum.")
    ] = "all",
    weights: Weights = None,
    questions: TestQuestions,
    loading: Loading,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Conditional perplexity of base, singles and every sum, on every domain.

    Only the answers' tokens are scored, given their question. The interval is a 95 % bootstrap
    over questions. The base is loaded once; a subset is a choice of task weights.

    \b
    Example:
      superpose eval smollm2 math finance:0.5 --data math.test.jsonl --data finance.test.jsonl
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.evaluate import evaluate as evaluate_all

    with bars(quiet=quiet) as progress:
        found = evaluate_all(
            *base_apart(base, adapters),
            data,
            only,
            questions,
            loading,
            weights=weights,
            progress=progress,
        )
    answer(found, json)
