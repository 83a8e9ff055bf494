"""`superpose diff`: how two adapters differ."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.console import answer
from superpose.cli.options import Csv, Heads, IgnoreKey, Json, Quiet, SameBase

__all__ = ["diff"]

First = Annotated[str, typer.Argument(metavar="A", help="An adapter.", show_default=False)]
Second = Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="Relative difference of a module that still counts as the same; by default what "
        "rounding to the adapters' dtype can do (4e-6 in float32, 0.002 in float16, 0.02 in "
        "bfloat16).",
        show_default=False,
    ),
]

BaseOfFile = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="The base model, for GGUF files alone: which of their rows llama.cpp moved.",
        show_default=False,
    ),
]


def diff(
    a: First,
    b: Second,
    tolerance: Tolerance = None,
    base: BaseOfFile = None,
    heads: Heads = "sum",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    json: Json = False,
    _csv: Csv = False,
    _quiet: Quiet = False,
) -> None:
    """Say how two adapters differ, and whether they do: exit code 0 the same, 1 different.

    What counts is what they add to the base model: the same delta in other factors, of another
    rank and alpha, or in another file format is the same. What is held differently is listed
    beside it. A module's difference is |dW_a - dW_b| / max(|dW_a|, |dW_b|).

    Example: superpose diff runs/math runs/math-copy
    """
    from superpose.verbs.diff import diff as diff_all

    found = diff_all(
        a, b, tolerance=tolerance, base=base, heads=heads, same_base=same_base,
        ignore_keys=ignore_key or (),
    )  # fmt: skip
    answer(found, json)
    if not found.same:
        raise typer.Exit(1)
