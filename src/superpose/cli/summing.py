"""From names and task weights to a sum, for the commands that write or prove one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from superpose.cli.heads import tell_of_heads

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.adapter.progress import Progress
    from superpose.cli.weights_file import WeightsFile
    from superpose.files.checkpoint import Checkpoint

__all__ = ["summed"]


class Writable(Protocol):
    """Asks whether a sum can be written; raises as `formats.check_output`."""

    def __call__(self, *, adapter_format: str) -> None: ...


def summed(
    names: Sequence[str],
    weights: Sequence[float],
    *,
    rank: int | None = None,
    base: str | None = None,
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    table: WeightsFile | None = None,
    heads: str = "sum",
    writable: Writable | None = None,
) -> tuple[Adapter, Checkpoint | None]:
    """Load adapters and give their sum, whose `made` tells what it keeps, and the base.

    The base is that which they name, where its headers are at hand: its own names are the sum's.

    rank: of the best approximation; None is the exact sum. base: the base model, for tensors that
    are stored absolutely, for DoRA at a rank, and for GGUF files. table: task weights of a file, in
    place of `weights`. heads: what becomes of them, which is said. writable: raises for a sum of an
    `Adapter.format` that cannot be written, and is asked as soon as it is known. Raises as the
    parts do.
    """
    from superpose.adapter import met
    from superpose.baking.found import tree_of_base
    from superpose.cli.read_back import base_of
    from superpose.compose import BestRank, OnBase, Sum, merge
    from superpose.files.base import locate_base
    from superpose.files.checkpoint import Checkpoint
    from superpose.formats import load

    loaded = [load(n, base=base, ignore_keys=ignore_keys, dora=base is not None) for n in names]
    formats = {adapter.format for adapter in loaded}
    if writable is not None and len(formats) == 1:
        writable(adapter_format=formats.pop())
    here = base_of(loaded, base)
    tree = None if here is None else tree_of_base(here)
    if table is not None:
        # By the names that the model had when it was tuned, whatever the files call its modules.
        loaded, weights = table.apply(met(loaded, tree) if table.modules else loaded)
    # What else is done to the sum depends on it: whether it asks for the base, what it would take.
    total = merge(loaded, weights, Sum(), same_base=same_base, heads=heads, tree=tree)
    if writable is not None:
        writable(adapter_format=total.format)
    tell_of_heads(loaded, heads)
    _tell_of_eight_bits(total)
    checkpoint = None
    # Of most bases no more than the configuration is asked for, and that may be a GGUF file's.
    if base is not None and _asks_for_weights(total):
        checkpoint = Checkpoint.open(locate_base(base).folder)
        carriers = {t: a.path for a in loaded for t in a.copies}
        total = OnBase(checkpoint, carriers).of(total)
    if rank is None:
        return total, here
    _tell_of_size(total, rank)
    with _bar(f"best rank {rank}") as step:
        return BestRank(rank, checkpoint).of(total, step), here


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """A bar over target modules; gives what it is told with."""
    from superpose.cli.console import progress

    with progress() as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total, name: bars.update(task, completed=done, total=total)


def _tell_of_eight_bits(total: Adapter) -> None:
    """Say that a sum of float8 factors is written in a wider dtype."""
    from superpose.cli.console import note
    from superpose.files.tensors import EIGHT_BITS
    from superpose.formats.folded import widest_dtype

    used = {name for delta in total.values() for name in delta.stored} & set(EIGHT_BITS.values())
    if used:
        note(
            "note",
            f"factors in {' and '.join(sorted(used))} are read exactly; a sum is not written in "
            f"eight bits but, unless --dtype says another, in {widest_dtype(total)}",
        )


def _tell_of_size(total: Adapter, rank: int) -> None:
    """Say what will not be formed, and what comes in its place, before it is computed."""
    from superpose.cli.console import note
    from superpose.formats.expanded import size_of_factors

    if not (size := size_of_factors(total)):
        return
    kept = 8 * rank * sum(sum(delta.shape) for delta in total.values())
    note(
        "note",
        f"the sum's LoHa and LoKr modules would be {_gigabytes(size)} as exact factors, which are "
        f"not formed; at rank {rank} all of it takes {_gigabytes(kept)}",
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _asks_for_weights(total: Adapter) -> bool:
    from superpose.adapter import enclosed, untied

    if total.copies or any(r.needs_base for r in total.replacements.values()):
        return True
    return bool(enclosed(untied(total)))
