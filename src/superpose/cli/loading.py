"""How a base model is loaded, for commands that take it without adapters."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.option import DEVICE

__all__ = ["Device", "Dtype"]

Dtype = Annotated[
    str, typer.Option(metavar="float32|bfloat16|float16", help="The base's weights in memory.")
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help=DEVICE)]
