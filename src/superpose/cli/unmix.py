"""`superpose unmix`: which adapters of a library an adapter is a sum of."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.options import Csv, IndexFolder, Json, Quiet

__all__ = ["unmix"]


def unmix(
    merged: Annotated[
        str,
        typer.Argument(
            metavar="MERGED",
            help="An adapter: its name in the index, a folder, a file or a hub name; with --base a "
            "model.",
            show_default=False,
        ),
    ],
    index: IndexFolder = "library.index",
    base: Annotated[
        str | None,
        typer.Option(
            help="The base model of MERGED, where that is a model: the change is extracted first.",
            show_default=False,
        ),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Of the extraction; 64 unless given.", show_default=False)
    ] = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Say which adapters of an index an adapter is a sum of, and with what weights.

    Exact sums, sums compressed to a rank, in bfloat16, and models they were baked into. Each weight
    has an interval; what is not from this library is said, and so is an adapter that explains it as
    well. The sum of the parents is then formed exactly and compared.

    Example: superpose unmix runs/merged --index library.index
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.unmix import unmix as unmix_one

    with bars(quiet=quiet, percent=True) as progress:
        found = unmix_one(merged, index, base=base, rank=rank, progress=progress)
    answer(found, json)
