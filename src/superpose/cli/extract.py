"""`superpose extract`: what full fine-tuning did to a base model, as an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.options import Base, Csv, Json, Quiet
from superpose.cli.unfold import unfolded
from superpose.verbs.settings import Writing

__all__ = ["extract"]


@unfolded
def extract(
    *,
    base: Base,
    finetuned: Annotated[
        str,
        typer.Argument(
            metavar="FINETUNED",
            help="The fine-tuned model: a folder or a hub name.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write.", show_default=False)
    ],
    rank: Annotated[
        int | None, typer.Option(help="Rank of every module; with --energy, the most it may take.")
    ] = None,
    energy: Annotated[
        float | None,
        typer.Option(
            help="Take the least rank that keeps this share of a module's change, for example 0.9; "
            "at most --rank, or 512."
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            help="Layers to take, by name or its end: q_proj,v_proj. By default every linear layer "
            "but heads and routers."
        ),
    ] = None,
    writing: Writing,
    seed: Annotated[int, typer.Option(help="Of the randomised SVD.")] = 0,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Write what full fine-tuning did to a base model as an adapter of low rank.

    Each linear layer's difference, read from both models' files one at a time, is approximated
    best by factors of a rank, and the share of its energy that they keep is said. Differences of
    norms, biases, embeddings and heads are no part of the adapter: they are measured and listed.
    Folders of one diffusers model (pipeline/unet, pipeline/transformer) give an image LoRA.

    Example: superpose extract org/base org/base-math -o math --rank 16
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.extract import extract as extract_all

    with bars(quiet=quiet, percent=True) as progress:
        found = extract_all(
            base, finetuned, rank,
            out=out, energy=energy, targets=targets, seed=seed, writing=writing, progress=progress,
        )  # fmt: skip
    answer(found, json)
