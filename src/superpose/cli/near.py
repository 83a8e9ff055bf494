"""`superpose near`: which adapters of a library are most like one."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.console import answer
from superpose.cli.options import Csv, IndexFolder, Json, Quiet

__all__ = ["near"]


def near(
    adapter: Annotated[
        str,
        typer.Argument(
            metavar="ADAPTER",
            help="Its name in the index, a folder, a file or a hub name.",
            show_default=False,
        ),
    ],
    index: IndexFolder = "library.index",
    most: Annotated[int, typer.Option(help="So many of them.")] = 10,
    json: Json = False,
    _csv: Csv = False,
    _quiet: Quiet = False,
) -> None:
    """Say which adapters of an index are most like one.

    They are found by sketches of a thousand numbers each and told exactly: cosine, scale, and the
    difference that is left.

    Example: superpose near runs/math --index library.index
    """
    from superpose.verbs.near import near as near_one

    answer(near_one(adapter, index, most=most), json)
