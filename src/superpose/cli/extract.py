"""`superpose extract`: what full fine-tuning did to a base model, as an adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import note, out, plain, print_json, progress
from superpose.cli.options import Base, Json, Quiet

if TYPE_CHECKING:
    from rich.table import Column

    from superpose.extraction import Extracted
    from superpose.formats import Written

__all__ = ["extract"]

MOST_LISTED = 10
"""Leftovers that the table shows; `--json` lists all."""

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
    from superpose.extraction import extract as extract_adapter
    from superpose.files.base import locate_base
    from superpose.formats import check_output, save

    check_output(out, dtype=dtype, compact=compact, force=force)
    located = locate_base(base)  # before the bar: it may be fetched or converted
    with _bar(finetuned, quiet) as step:
        found = extract_adapter(
            located, finetuned, rank, energy=energy, targets=_names(targets), seed=seed,
            progress=step,
        )  # fmt: skip
    written = save(found.adapter, out, dtype=dtype, compact=compact, force=force)
    if json:
        print_json({**_as_json(written), **found.to_json()})
    else:
        _tell(found, written)
    if found.leftovers:
        _tell_of_leftovers(found)


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


def _tell(found: Extracted, written: Written) -> None:
    from rich.table import Table

    out().print(
        f"wrote {written.path}: what {found.adapter.name} adds to {found.adapter.base_model}\n"
        f"  {written.modules} target modules, rank {written.rank}, {written.dtype}, keeps "
        f"{100 * found.energy_kept:.2f} % of the energy of their change",
        markup=False,
        soft_wrap=True,
    )
    table = Table("kind", *_right("modules", "rank", "share of the change", "energy kept"))
    for kind in found.kinds:
        ranks = f"{kind.ranks[0]}" + (f" to {kind.ranks[-1]}" if len(kind.ranks) > 1 else "")
        table.add_row(
            plain(kind.name), str(kind.modules), ranks, _percent(kind.share),
            _percent(kind.energy_kept),
        )  # fmt: skip
    out().print(table)
    if not found.leftovers:
        return
    table = Table("left out", "what it is", *_right("relative change", "share of the change"))
    table.columns[0].overflow = "fold"
    for x in found.leftovers[:MOST_LISTED]:
        size = "only in one model" if None in (x.shape, x.base_shape) else "resized"
        relative = size if math.isnan(x.change) else f"{x.relative:.3g}"
        table.add_row(plain(x.name), x.kind, relative, _percent(x.share))
    if len(found.leftovers) > MOST_LISTED:
        table.add_row(f"... and {len(found.leftovers) - MOST_LISTED} more (--json lists all)")
    out().print(table)


def _tell_of_leftovers(found: Extracted) -> None:
    count = len(found.leftovers)
    unknown = sum(math.isnan(x.share) for x in found.leftovers)
    more = f", without {unknown} that have no counterpart of their shape" if unknown else ""
    note(
        "note",
        f"{count} tensor(s) that differ are not in the adapter: {_percent(found.share_left)} of "
        f"the energy of the whole change{more}",
    )


def _as_json(written: Written) -> dict[str, object]:
    return {
        "output": str(written.path),
        "rank": written.rank,
        "dtype": written.dtype,
        "bytes": written.bytes,
        "rounding_error": written.rounding_error,
    }


def _right(*titles: str) -> list[Column]:
    from rich.table import Column

    return [Column(title, justify="right") for title in titles]


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f} %"
