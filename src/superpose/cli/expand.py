"""`superpose expand`: the ordinary adapters of a shared form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.options import Json, Quiet

__all__ = ["expand"]


def expand(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What superpose compress wrote: shared.safetensors, or its folder.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write.", show_default=False)
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This adapter alone; can be given again."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the ordinary adapters that shared.safetensors holds, to the bit what compress wrote.

    Example: superpose expand small/shared.safetensors -o adapters
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.expand import expand as expand_all

    with bars(quiet=quiet) as progress:
        found = expand_all(file, out, only=only or (), progress=progress)
    answer(found, json)
