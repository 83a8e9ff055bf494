"""`superpose check`: what the weights tell of a sum, before anything is added."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.beside import Html, Junit, Pages, Reports, Sarif
from superpose.cli.console import answer
from superpose.cli.options import BaseModel, Csv, Heads, IgnoreKey, Json, Quiet, SameBase
from superpose.errors import BadSetting

__all__ = ["check"]

Adapters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ADAPTER...",
        help="Two or more PEFT folders, GGUF files, image LoRAs (.safetensors) or hub names.",
        show_default=False,
    ),
]
Index = Annotated[
    str | None,
    typer.Option(
        metavar="INDEX",
        help="What superpose index made, in place of adapters: clusters, and the worst pairs. "
        "Takes no other option but --device, --html and --json.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="With --index: take the products on torch tensors there, cuda or auto for what torch "
        "finds. NumPy on the CPU unless given.",
        show_default=False,
    ),
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Exit with code 1 when a pair meets it: rms>3 (multiples of the floor), cosine>0.1, "
        "cosine<-0.1, output>0.5, input>0.5, norm>10 or shared-a. Can be given again.",
    ),
]


def check(
    adapters: Adapters = None,
    fail_on: FailOn = None,
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    base: BaseModel = None,
    heads: Heads = "sum",
    html: Html = None,
    sarif: Sarif = None,
    junit: Junit = None,
    index: Index = None,
    device: Device = None,
    json: Json = False,
    _csv: Csv = False,
    _quiet: Quiet = False,
) -> None:
    """Say of each pair of adapters what the weights tell about their sum, and of all together.

    Cosines of the deltas beside the floor that unrelated deltas have, overlap of what they write
    to and read from beside chance, norms, a shared start, and a verdict with its reason and what
    to do next. Reads the adapters' factors only: no base model, no PyTorch. A condition on a figure
    that a pair does not have (no module in common, a delta of zeros) ends with code 1 as well.

    Example: superpose check runs/math runs/medicine --fail-on "cosine>0.1"
    """
    from superpose.verbs.check import check as check_all

    if index is not None:
        if adapters or fail_on or sarif or junit:
            raise BadSetting("takes no adapters and no --fail-on beside it", where="index")
        pages = Pages(html)
        library = check_all(index=index, device=device)
        with pages.showing(library):
            answer(library, json)
        return
    if device:
        raise BadSetting("goes with --index", where="device")
    reports, ignored = Reports("check", sarif, junit), ignore_key or ()
    with reports.telling():
        _check_conditions(fail_on, bool(reports))
        pages = Pages(html)
        found = check_all(
            adapters or (), same_base=same_base, base=base, heads=heads, ignore_keys=ignored
        )
        gate = found.gate(fail_on) if fail_on else None
        if gate and reports:
            reports.write(gate)
        with pages.showing(found):
            answer(found, json)
    if gate:
        gate.insist("--fail-on")


def _check_conditions(fail_on: list[str] | None, wanted: bool) -> None:
    """Raise for a condition that is none, before any work. wanted: a file is to say what came."""
    if not fail_on:  # what few ask for is imported for them
        if wanted:
            raise BadSetting("say how --fail-on came out, and go with it", where="sarif, junit")
        return
    from superpose.interference.conditions import parse_condition

    for text in fail_on:
        parse_condition(text)
