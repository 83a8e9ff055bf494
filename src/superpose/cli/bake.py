"""`superpose bake`: a base model with adapters added to its weights, as one model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import note, out as console, print_json, progress
from superpose.cli.heads import tell_of_heads
from superpose.cli.options import Base, Heads, IgnoreKey, Json, Quiet, SameBase
from superpose.cli.weights_file import WeightsFile, weighted_or_file

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.baking import Baked

__all__ = ["bake", "multiply_in_one_thread", "percent_bar", "sum_on_base"]

Adapters = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER[:WEIGHT]...",
        help="Adapters: folders, files or hub names, each with its task weight (1 when left out).",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.", show_default=False)]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Task weights in the adapters' order, for example 1,0.5,-1, or a file that superpose "
        "tune --json wrote."
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="float32, float16, bfloat16 or float64 for the whole model; by default each tensor "
        "keeps its own."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace a model that bake wrote to OUT before.")
]


def bake(
    base: Base,
    adapters: Adapters,
    out: Out,
    weights: Weights = None,
    dtype: Dtype = None,
    force: Force = False,
    heads: Heads = "sum",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a base model plus a weighted sum of adapters as a model of its own.

    Every weight that an adapter changes is base + sum in float32, rounded once to the dtype it is
    stored in; every other one is copied byte for byte, with configuration and tokenizer. The base
    is read from its files tensor by tensor: memory does not grow with the model. Adapters that no
    sum can hold as an adapter, DoRA among them, are exact here.

    Example: superpose bake org/base runs/math runs/medicine:0.5 -o both-model
    """
    multiply_in_one_thread()
    from superpose.baking import bake as bake_model
    from superpose.files.base import locate_base

    names, numbers, table = weighted_or_file(adapters, weights)
    located = locate_base(base)
    total = sum_on_base(
        located.folder, names, numbers, same_base, ignore_key or (), table, heads=heads
    )
    with percent_bar(f"bake {out}", quiet) as step:
        baked = bake_model(
            located, total, out, dtype=dtype, force=force, progress=step,
        )  # fmt: skip
    if json:
        print_json({**baked.to_json(), **_about(total, str(located))})
    else:
        _tell(baked, total, str(located))
    if baked.new:
        note("note", f"new in the model: {', '.join(baked.new)}")
    if baked.dropped:
        note("note", f"left out, as a classifier does not have it: {', '.join(baked.dropped)}")


def multiply_in_one_thread() -> None:
    """Keep NumPy's OpenBLAS, which is not imported yet, to one thread, unless the user says else.

    The products of one block are so small that threads would mostly wait for each other: on two
    busy cores they take five times as much of the processor.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def sum_on_base(
    folder: Path,
    names: list[str],
    weights: list[float],
    same_base: bool,
    ignore_keys: list[str] | tuple[str, ...],
    table: WeightsFile | None = None,
    *,
    heads: str = "sum",
) -> Adapter:
    """Load adapters for a base model that is here, and give their weighted sum."""
    from superpose.baking.found import tree_of_base
    from superpose.compose import exact_sum
    from superpose.files.checkpoint import Checkpoint
    from superpose.formats import load

    loaded = [load(name, base=folder, ignore_keys=ignore_keys, dora=True) for name in names]
    if table is not None:
        loaded, weights = table.apply(loaded)
    tree = tree_of_base(Checkpoint.open(folder))
    total = exact_sum(loaded, weights, same_base=same_base, heads=heads, tree=tree)
    tell_of_heads(loaded, heads)
    return total


@contextmanager
def percent_bar(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar in per cent with the time left; give what it yields as `progress`."""
    with progress(quiet=quiet, percent=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _tell(baked: Baked, total: Adapter, base: str) -> None:
    copied = baked.tensors - baked.changed - len(baked.new)
    lines = [
        f"wrote {baked.path}: {base} + {total.name}",
        f"  {baked.changed} tensors changed, {copied} copied as they are, "
        f"{_size(baked.bytes)} in {baked.files} file(s)",
    ]
    if baked.vocabulary is not None:
        lines.append(f"  the vocabulary has {baked.vocabulary} rows, as the adapter's has")
    if baked.labels is not None:
        lines.append(f"  a classifier with {baked.labels} labels")
    if baked.untied:
        lines.append("  embedding and output layer, tied in the base model, differ now")
    console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _about(total: Adapter, base: str) -> dict[str, object]:
    from superpose.adapter.beside import trained

    parents = [parent.to_json() for parent in total.parents]
    beside = [one.to_json() for one in trained(total.beside)]
    return {
        "name": total.name,
        "base_model": base,
        "parents": parents,
        "made": total.made.to_json(),
        "beside": beside,
    }
