"""`superpose dupes`: the same adapter under other names."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.options import Csv, IndexFolder, Json, Quiet

__all__ = ["dupes"]


def dupes(
    index: IndexFolder = "library.index",
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Relative difference that still counts as a copy; by default 0.014, which is "
            "what rounding to bfloat16 can do.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Find the adapters of an index that are copies of each other, and say which to keep.

    A copy is the other one times a number, whatever its names, split, dtype, scale or file format.

    Example: superpose dupes --index library.index
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.dupes import dupes as dupes_all

    with bars(quiet=quiet) as progress:
        found = dupes_all(index, tolerance=tolerance, progress=progress)
    answer(found, json)
