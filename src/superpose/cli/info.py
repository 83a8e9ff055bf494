"""`superpose info`: what is in an adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.console import answer
from superpose.cli.options import IgnoreKey, Json

__all__ = ["info"]


def info(
    adapter: Annotated[
        str, typer.Argument(help="An adapter: a folder, a file or a hub name.", show_default=False)
    ],
    ignore_key: IgnoreKey = None,
    json: Json = False,
) -> None:
    """Say what is in an adapter: base model, target modules, ranks, scalings, norms, parents.

    Norms are Frobenius norms of the deltas, not of the factors.

    Example: superpose info runs/math
    """
    from superpose.verbs.info import info as info_all

    answer(info_all(adapter, ignore_keys=ignore_key or ()), json)
