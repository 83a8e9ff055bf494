"""`superpose add`: the exact weighted sum of adapters, as one adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.options import (
    BaseModel,
    Heads,
    IgnoreKey,
    Json,
    Quiet,
    SameBase,
    Weights,
)
from superpose.cli.unfold import unfolded
from superpose.option import DEVICE
from superpose.verbs.merging import Merging
from superpose.verbs.settings import MergeQuestions, Writing

__all__ = ["add"]


@unfolded
def add(
    *,
    adapters: Annotated[
        list[str],
        typer.Argument(
            metavar="ADAPTER[:WEIGHT]...",
            help="PEFT folders, GGUF files, image LoRAs or hub names, each with its task weight (1 "
            "when left out), or a sum: 'A + 0.5*B - C'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The folder to write, or the .gguf or, for image LoRAs, .safetensors file.",
            show_default=False,
        ),
    ],
    weights: Weights = None,
    merging: Merging,
    rank: Annotated[
        int | None,
        typer.Option(help="Write the best approximation of this rank."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="peft|vllm|llama.cpp",
            help="The engine: refuse what it does not read. vllm: with the least rank "
            "of its --max-lora-rank list that is enough, padded with zeros, or compressed to 512 "
            "where more would be needed. llama.cpp: a GGUF LoRA file; OUT ends in .gguf.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            help="regmean, ssr, tuned: questions of a domain, once for each adapter, in the "
            "adapters' order. --base, or the base that the adapters name, reads them.",
            show_default=False,
        ),
    ] = None,
    questions: MergeQuestions,
    base: BaseModel = None,
    heads: Heads = "sum",
    writing: Writing,
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="BASE",
            help="Load BASE and the result with peft and compare its logits with those of BASE "
            "plus the parents' own deltas.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help=f"--data, --verify: {DEVICE}", show_default=False),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add adapters exactly, or merge them by another method, and write one adapter.

    The sum of the deltas is written, not of the factors: no cross terms, whatever the ranks,
    scalings and target modules. The result works in PEFT, vLLM and llama.cpp alike. Other methods
    are for adapters that disturb each other; docs/merging.md tells what each does. Those that need
    question rows (regmean, ssr, tuned) take them with --data.

    \b
    Examples:
      superpose add runs/math runs/medicine:0.5 runs/toxic:-1 -o both
      superpose add runs/math runs/law --method regmean -d math.jsonl -d law.jsonl -o both
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.add import add as add_all

    if data:  # whose rows are what is drawn
        questions = replace(questions, seed=0 if merging.seed is None else merging.seed)
        merging = replace(merging, seed=None)
    with bars(quiet=quiet) as progress:
        found = add_all(
            adapters, out, weights, merging.chosen(), data=data or (), questions=questions,
            rank=rank, engine=engine, base=base, heads=heads, same_base=same_base,
            ignore_keys=ignore_key or (), writing=writing, verify=verify, device=device,
            progress=progress,
        )  # fmt: skip
    answer(found, json)
    found.insist()
