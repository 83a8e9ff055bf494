"""`superpose compress`: one basis for several adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.options import AdapterNames, BaseModel, Csv, IgnoreKey, Json, Quiet, SameBase
from superpose.cli.unfold import unfolded
from superpose.errors import BadSetting
from superpose.verbs.settings import Writing

__all__ = ["compress"]


@unfolded
def compress(
    *,
    adapters: AdapterNames,
    shared: Annotated[
        bool, typer.Option("--shared", help="One basis for all; there is no other way yet.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write.", show_default=False)
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Of every module's basis; with --energy, the most it may be.")
    ] = None,
    energy: Annotated[
        float | None,
        typer.Option(
            help="Share of its energy that each adapter keeps in each module, in the least rank "
            "that is found; 0.99 where no --rank is given either.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(metavar="both|ordinary|shared", help="Write one of the two forms alone."),
    ] = "both",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: say errors and sizes.")
    ] = False,
    base: BaseModel = None,
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    writing: Writing,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Bring adapters into one basis of each target module, and write them smaller.

    Two forms: ordinary adapters, which PEFT reads, and shared.safetensors, the bases and a small
    core for each adapter, of which superpose expand makes the same adapters. The error of each
    adapter and module is computed from the factors, and the bytes are measured: of adapters that
    have little in common, one basis may take more than it saves, which is said.

    Example: superpose compress --shared runs/math runs/law runs/code --rank 16 -o small
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.compress import compress as compress_all

    if not shared:
        alone = "Of one adapter by itself: superpose add ADAPTER --rank 8 -o OUT"
        raise BadSetting("is needed: one basis for all", where="shared", hint=alone)
    if (out is None) != dry_run:
        raise BadSetting("is needed, or --dry-run, and not both", where="out")
    with bars(quiet=quiet) as progress:
        found = compress_all(
            adapters, out, rank=rank, energy=energy, form=form, base=base,
            same_base=same_base, ignore_keys=ignore_key or (), writing=writing, progress=progress,
        )  # fmt: skip
    answer(found, json)
