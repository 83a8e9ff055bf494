"""`superpose extract`: what full fine-tuning did to a base model, as an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import note, out as console, print_json, progress
from superpose.cli.options import Base, Json, Quiet

if TYPE_CHECKING:
    from superpose.formats import Written

__all__ = ["extract"]

Finetuned = Annotated[
    str, typer.Argument(help="The fine-tuned model: a folder or a hub name.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.", show_default=False)]
Rank = Annotated[
    int | None, typer.Option(help="Rank of every module; with --energy, the most it may take.")
]
Energy = Annotated[
    float | None,
    typer.Option(
        help="Take the least rank that keeps this share of a module's change, for example 0.9; "
        "at most --rank, or 512."
    ),
]
Targets = Annotated[
    str | None,
    typer.Option(
        help="Layers to take, by name or its end: q_proj,v_proj. By default every linear layer "
        "but heads and routers."
    ),
]
FileDtype = Annotated[
    str | None, typer.Option("--dtype", help="float32, float16, bfloat16 or float64.")
]
Compact = Annotated[
    bool, typer.Option("--compact", help="Keep each module's own rank; PEFT alone reads that.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an adapter that stands at OUT.")]
Seed = Annotated[int, typer.Option(help="Of the randomised SVD.")]


def extract(
    base: Base,
    finetuned: Finetuned,
    out: Out,
    rank: Rank = None,
    energy: Energy = None,
    targets: Targets = None,
    dtype: FileDtype = None,
    compact: Compact = False,
    force: Force = False,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write what full fine-tuning did to a base model as an adapter of low rank.

    Each linear layer's difference, read from both models' files one at a time, is approximated
    best by factors of a rank, and the share of its energy that they keep is said. Differences of
    norms, biases, embeddings and heads are no part of the adapter: they are measured and listed.
    Folders of one diffusers model (pipeline/unet, pipeline/transformer) give an image LoRA.

    Example: superpose extract org/base org/base-math -o math --rank 16
    """
    from superpose.extraction import extract as extract_adapter, extracted_format
    from superpose.files.base import locate_base
    from superpose.formats import check_output, save

    check_output(out, dtype=dtype, compact=compact, force=force)
    located = locate_base(base)  # before the bar: it may be fetched or converted
    kind = extracted_format(located.folder)
    check_output(out, adapter_format=kind, dtype=dtype, compact=compact, force=force)
    with _bar(finetuned, quiet) as step:
        found = extract_adapter(
            located, finetuned, rank, energy=energy, targets=_names(targets), seed=seed,
            progress=step,
        )  # fmt: skip
    written = save(found.adapter, out, dtype=dtype, compact=compact, force=force)
    if json:
        print_json({**_as_json(written), **found.to_json()})
    else:
        from superpose.cli.show import show
        from superpose.shown import Line

        show(
            (Line(f"{written.path}, in {written.dtype}", "wrote", whole=True), *found.shown()),
            console(),
        )
    if found.leftovers:
        note("note", found.left_out)


def _names(targets: str | None) -> list[str] | None:
    return None if targets is None else [t.strip() for t in targets.split(",") if t.strip()]


@contextmanager
def _bar(finetuned: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar over the models' values, with the time left; give what it yields to `extract`."""
    with progress(quiet=quiet, percent=True) as bars:
        task = bars.add_task(f"extract {finetuned}", total=None)
        yield lambda done, total, name: bars.update(
            task, completed=done, total=total, description=name or f"extract {finetuned}"
        )


def _as_json(written: Written) -> dict[str, object]:
    return {
        "output": str(written.path),
        "rank": written.rank,
        "dtype": written.dtype,
        "bytes": written.bytes,
        "rounding_error": written.rounding_error,
    }
