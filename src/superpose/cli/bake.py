"""`superpose bake`: a base model with adapters added to its weights, as one model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.base_apart import base_apart
from superpose.cli.options import (
    Adapters,
    BaseOrNot,
    Heads,
    IgnoreKey,
    Json,
    Quiet,
    SameBase,
    Weights,
)

__all__ = ["bake", "multiply_in_one_thread"]


def bake(
    *,
    base: BaseOrNot,
    adapters: Adapters = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The folder to write, or the .gguf file.", show_default=False
        ),
    ],
    weights: Weights = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="gguf",
            help="gguf: a GGUF model of the base's own GGUF file, which BASE names then.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="float32|float16|bfloat16|float64",
            help="For the whole model, of a GGUF model for the tensors that change; by default "
            "each tensor keeps its own.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a model that bake wrote to OUT before.")
    ] = False,
    heads: Heads = "sum",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a base model plus a weighted sum of adapters as a model of its own.

    Every weight that an adapter changes is base + sum in float32, rounded once to the dtype it is
    stored in; every other one is copied byte for byte, with configuration and tokenizer. The base
    is read from its files tensor by tensor: memory does not grow with the model. Adapters that no
    sum can hold as an adapter, DoRA among them, are exact here.

    With --for gguf a GGUF model is written in the same way. Quantised tensors that change are
    quantised anew, where the package gguf can, and what that takes of the change is said.

    Example: superpose bake org/base runs/math runs/medicine:0.5 -o both-model
    Example: superpose bake --for gguf base.gguf runs/math runs/medicine:0.5 -o both.gguf
    """
    multiply_in_one_thread()
    from superpose.cli.console import answer, bars
    from superpose.verbs.bake import bake as bake_all

    # A GGUF model alone is a file, and then the first name is nothing else.
    named = base_apart(base, adapters) if engine is None else (base, adapters or [])

    with bars(quiet=quiet, percent=True) as progress:
        found = bake_all(
            *named, out, weights,
            engine=engine, dtype=dtype, force=force, heads=heads, same_base=same_base,
            ignore_keys=ignore_key or (), progress=progress,
        )  # fmt: skip
    answer(found, json)


def multiply_in_one_thread() -> None:
    """Keep NumPy's OpenBLAS, which is not imported yet, to one thread, unless the user says else.

    The products of one block are so small that threads would mostly wait for each other: on two
    busy cores they take five times as much of the processor.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
