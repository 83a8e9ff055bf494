"""Arguments and options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.console import as_csv, hush

__all__ = [
    "AdapterNames",
    "Adapters",
    "Base",
    "BaseModel",
    "BaseOrNot",
    "BehindBase",
    "CalibrationData",
    "Csv",
    "Heads",
    "IgnoreKey",
    "IndexFolder",
    "Json",
    "Measured",
    "Quiet",
    "SameBase",
    "Status",
    "WeightedAdapters",
    "Weights",
]

SameBase = Annotated[
    bool,
    typer.Option("--same-base", help="The adapters' base models have different names but are one."),
]
IgnoreKey = Annotated[
    list[str] | None,
    typer.Option(help="An unknown configuration key that does not touch the weights."),
]
IndexFolder = Annotated[
    str, typer.Option("--index", metavar="INDEX", help="What superpose index made.")
]
Heads = Annotated[
    str,
    typer.Option(
        metavar="none|sum|ADAPTER",
        help="What becomes of heads, the layers that classifiers get anew: none leaves them out; "
        "the name or number (from 1) of an adapter takes that one's whole, at weight 1; sum adds "
        "them like all the rest, which needs a base model that has them unless task weights sum "
        "to 1.",
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="BASE",
        help="The base model (smollm2, a transformers folder or a hub name): for what adapters "
        "store in place of its tensors, for DoRA with --rank, and for GGUF files, where it may be "
        "its own GGUF file as well.",
        show_default=False,
    ),
]
WeightedAdapters = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER[:WEIGHT]...",
        help="Adapters: folders, files or hub names, each with its task weight (1 when left out), "
        "or a sum: 'A + 0.5*B - C'. Of an image LoRA text encoder and U-Net may have weights of "
        "their own: cats.safetensors:te=0.5,unet=1.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Task weights in the adapters' order, for example 1,0.5,-1; average for 1/K each; or "
        "a file that superpose tune --json or predict --json wrote."
    ),
]
Status = Annotated[
    bool,
    typer.Option("--status", help="How far it is, from the files in --out; also while it runs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[
    bool,
    typer.Option("--csv", callback=as_csv, help="Print the main table as CSV, all of it."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=hush, help="No progress bar, and no notes.")
]

# Of the commands that run a model.
Base = Annotated[
    str, typer.Argument(metavar="BASE", help="smollm2, a transformers folder, or a hub name.")
]
BaseOrNot = Annotated[
    str,
    typer.Argument(
        metavar="[BASE]",
        help="smollm2, a transformers folder, or a hub name; left out, the base model that the "
        "adapters name.",
        show_default=False,
    ),
]
Adapters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ADAPTER[:WEIGHT]...",
        help="Adapters, each PATH or PATH:WEIGHT, or hub names, or 'A + 0.5*B - C'.",
        show_default=False,
    ),
]
AdapterNames = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER...", help="Adapters: folders, files or hub names.", show_default=False
    ),
]
BehindBase = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ADAPTER...", help="Adapters: folders, files or hub names.", show_default=False
    ),
]
CalibrationData = Annotated[
    list[str],
    typer.Option(
        "--data", "-d",
        help="A domain's calibration questions, once for each adapter, in the adapters' order.",
        show_default=False,
    ),
]  # fmt: skip
Measured = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="A folder that keeps what was measured, of predict and of tune; either goes on there.",
        show_default=False,
    ),
]
