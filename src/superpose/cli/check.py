"""`superpose check`: what the weights tell of a sum, before anything is added."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
        help="Two or more PEFT folders, GGUF files, image LoRAs (.safetensors) or hub names; a "
        "folder of them stands for all that lie in it.",
        show_default=False,
    ),
]
Index = Annotated[
    str | None,
    typer.Option(
        metavar="INDEX",
        help="What superpose index made, in place of adapters: clusters, and the worst pairs. "
        "Takes no other option but those below and --html.",
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
Executor = Annotated[
    str,
    typer.Option(
        metavar="local|slurm|ray",
        help="With --index: where its pairs are taken, block by block: by processes on this "
        "machine, jobs that submitit sends, or a Ray cluster.",
    ),
]
Workers = Annotated[
    int, typer.Option(help="So many at once, each with two blocks of 300 MB; 1 is this process.")
]
GpusPerTask = Annotated[
    int | None, typer.Option(help="GPUs of each worker alone.", show_default=False)
]
CpusPerTask = Annotated[int | None, typer.Option(help="Cores of each worker.", show_default=False)]
Slurm = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="What submitit passes on to sbatch, repeatable."),
]
Status = Annotated[
    bool, typer.Option("--status", help="How far the pairs of --index are; also while they run.")
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
    executor: Executor = "local",
    workers: Workers = 1,
    gpus_per_task: GpusPerTask = None,
    cpus_per_task: CpusPerTask = None,
    slurm: Slurm = None,
    status: Status = False,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Say of each pair of adapters what the weights tell about their sum, and of all together.

    Cosines of the deltas beside the floor that unrelated deltas have, overlap of what they write
    to and read from beside chance, norms, a shared start, and a verdict with its reason and what
    to do next. Reads the adapters' factors only: no base model, no PyTorch. A condition on a figure
    that a pair does not have (no module in common, a delta of zeros) ends with code 1 as well.
    With --index all pairs of a library, a file each two blocks of it: what was ended goes on.

    \b
    Examples:
      superpose check runs/math runs/medicine --fail-on "cosine>0.1"
      superpose check runs/
      superpose check --index library.index --workers 2
    """
    own = {"executor": executor, "workers": workers, "gpus_per_task": gpus_per_task,
           "cpus_per_task": cpus_per_task, "slurm": slurm}  # fmt: skip
    if index is not None:
        _refuse_beside_index(
            adapters=adapters, fail_on=fail_on, sarif=sarif, junit=junit, same_base=same_base,
            ignore_key=ignore_key, base=base, heads=heads != "sum",
        )  # fmt: skip
        _check_index(index, device, own, status=status, html=html, json=json, quiet=quiet)
        return
    _refuse_without_index(device=device, status=status or None, **own)
    from superpose.verbs.check import check as check_all

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


def _refuse_beside_index(**given: object) -> None:
    for name in (name for name, value in given.items() if value):
        called = name if name == "adapters" else f"--{name.replace('_', '-')}"
        raise BadSetting(f"takes no {called} beside it", where="index")


def _refuse_without_index(**given: object) -> None:
    for name, value in given.items():
        if value not in (None, {"executor": "local", "workers": 1}.get(name)):
            raise BadSetting("goes with --index", where=name)


def _check_index(
    index: str,
    device: str | None,
    own: dict[str, Any],
    *,
    status: bool,
    html: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """Compare all pairs of an index, or tell how far that is. own: the fields of an `Execution`."""
    from superpose.cli.console import bars

    if status:
        from superpose.cli.status import status_of

        answer(status_of(Path(index)), json)
        return
    from superpose.cli.unfold import key_values
    from superpose.executor import Execution
    from superpose.verbs.check import check as check_all

    execution = Execution(**own | {"slurm": key_values("slurm", own["slurm"] or ())})
    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        library = check_all(index=index, device=device, execution=execution, progress=progress)
    with pages.showing(library):
        answer(library, json)


def _check_conditions(fail_on: list[str] | None, wanted: bool) -> None:
    """Raise for a condition that is none, before any work. wanted: a file is to say what came."""
    if not fail_on:  # what few ask for is imported for them
        if wanted:
            raise BadSetting("say how --fail-on came out, and go with it", where="sarif, junit")
        return
    from superpose.interference.conditions import parse_condition

    for text in fail_on:
        parse_condition(text)
