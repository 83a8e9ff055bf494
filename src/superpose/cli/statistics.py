"""`superpose statistics`: what a domain's inputs look like, to merge by regression with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.loading import Device, Dtype
from superpose.cli.options import Base, Json, Quiet
from superpose.cli.unfold import unfolded
from superpose.verbs.input_statistics import InputQuestions

__all__ = ["statistics"]


@unfolded
def statistics(
    *,
    base: Base,
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Question files or hub data sets of one domain."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A file, or the folder of the domain's adapter, where add finds it.",
            show_default=False,
        ),
    ],
    questions: InputQuestions,
    directions: Annotated[
        int | None,
        typer.Option(
            help="Kept of each input; of the others their mean. Left out: 48, or beside an adapter "
            "as many as it would have room for at rank 16.",
            show_default=False,
        ),
    ] = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure what questions of a domain send into a base model's layers, for add --method regmean.

    A merge by regression (RegMean) needs the second moment of each layer's inputs on rows of every
    domain, and nothing else of them: no answers, no gradients, one forward pass. The base model's
    own inputs serve; so this can be made once, and travels with the adapter. PEFT and engines pass
    over the file. It tells which words are frequent and how alike two domains are: of a handful of
    rows, what they are about.

    Example: superpose statistics smollm2 math.jsonl -o runs/math
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.input_statistics import input_statistics

    with bars(quiet=quiet) as progress:
        found = input_statistics(
            base, data, out, questions,
            directions=directions, dtype=dtype, device=device, force=force, progress=progress,
        )  # fmt: skip
    answer(found, json)
