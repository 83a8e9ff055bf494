"""`superpose compare`: which merge method keeps most of several adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.base_apart import base_apart
from superpose.cli.beside import Html, Pages
from superpose.cli.options import BaseOrNot, BehindBase, Csv, Json, Quiet, SameBase, Status
from superpose.cli.status import status_of
from superpose.cli.unfold import unfolded
from superpose.cli.words_behind import check_methods
from superpose.executor.execution import Execution
from superpose.verbs.compare import Comparing
from superpose.verbs.settings import Loading

__all__ = ["compare"]


@unfolded
def compare(
    *,
    base: BaseOrNot,
    adapters: BehindBase = None,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            "-d",
            help="A domain's questions, once for each adapter, in the adapters' order.",
            show_default=False,
        ),
    ],
    questions: Comparing,
    loading: Loading,
    execution: Execution,
    test: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            "-t",
            help="Other questions of the same domains, in the same order; without, rows of --data "
            "beside the calibration rows.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Which, with commas: sum,regmean for a quick answer; ties,tuned by layer; all. "
            "By default sum, average, ties, regmean, ssr, tuned by adapter, tuned by module and "
            "regmean-tuned by module. The plain sum is always among them.",
        ),
    ] = None,
    merged: Annotated[
        str | None,
        typer.Option(
            metavar="ADAPTER",
            help="An adapter of all domains' training rows together, to compare with.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder that keeps what was measured, row by row; a comparison that was stopped "
            "goes on there.",
            show_default=False,
        ),
    ] = None,
    status: Status = False,
    same_base: SameBase = False,
    html: Html = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Hold merge methods against each other on rows of the adapters' domains, at one budget.

    Of every method a setting and a scale are chosen on the calibration rows, with as many passes
    over them for each; then it is measured once on the test rows. What cannot be told from the
    plain sum is called a tie. Says first how many passes and minutes that takes, and ends with the
    command that writes the best one.

    \b
    Examples:
      superpose compare smollm2 math law -d math.jsonl -d law.jsonl --methods sum,regmean
      superpose compare smollm2 math law -d math.jsonl -d law.jsonl -o runs/compared
    """
    from superpose.cli.console import answer, bars

    if status:
        answer(status_of(out, html), json)
        return
    from superpose.verbs.compare import compare as compare_all

    names = [name.strip() for name in methods.split(",")] if methods else []
    check_methods(adapters or (), names)
    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = compare_all(
            *base_apart(base, adapters), data, test or (), names, questions, loading,
            merged=merged, out=out, execution=execution, same_base=same_base, progress=progress,
        )  # fmt: skip
    with pages.showing(found):
        answer(found, json)
