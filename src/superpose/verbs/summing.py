"""From names and task weights to a sum, for the verbs that write or prove one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from superpose.verbs.adapters import loaded
from superpose.verbs.base import located_of
from superpose.verbs.from_rows import NO_ROWS, DomainData, informed
from superpose.verbs.heads import tell_of_heads
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, stepping
from superpose.verbs.told import size

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.adapter.heads import Heads
    from superpose.compose import Method
    from superpose.files.base import LocatedBase
    from superpose.files.checkpoint import Checkpoint
    from superpose.names.tree import Tree
    from superpose.verbs.base import Base
    from superpose.verbs.weights_file import Given

__all__ = ["asks_for_weights", "sum_on_base", "summed"]


class Writable(Protocol):
    """Asks whether a sum can be written; raises as `formats.check_output`."""

    def __call__(self, *, adapter_format: str) -> None: ...


def summed(
    given: Given,
    method: Method,
    rank: int | None = None,
    *,
    base: str | None = None,
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
    rows: DomainData = NO_ROWS,
    tree: Tree | None = None,
    heads: Heads = "sum",
    writable: Writable | None = None,
    progress: Progress | None = None,
) -> tuple[Adapter, Checkpoint | None]:
    """Load adapters and give what the method makes of them, whose `made` tells what it is.

    And the base that they name, where its headers are at hand: its own names are the sum's.

    rank: of the best approximation of that; None leaves it as it is. base: the base model, for
    tensors that are stored absolutely, for DoRA at a rank, and for GGUF files. rows: that tell of
    the adapters' domains, to a method that asks for them. tree: of the base's names; None for those
    of the base that is at hand. heads: what becomes of them, which is said. writable: raises for a
    sum of an `Adapter.format` that cannot be written, and is asked as soon as it is known. Raises
    as the parts do.
    """
    from superpose.baking.found import tree_of_base
    from superpose.compose import BestRank, OnBase, Sum, merge
    from superpose.files.base import locate_base
    from superpose.files.checkpoint import Checkpoint
    from superpose.verbs.at_hand import base_of

    checkpoint = None
    if isinstance(method, BestRank):
        rank, checkpoint, method = method.rank, method.base, Sum()
    parts = loaded(given.adapters, base=base, ignore_keys=ignore_keys, dora=base is not None)
    formats = {adapter.format for adapter in parts}
    if writable is not None and len(formats) == 1:
        writable(adapter_format=formats.pop())
    here = base_of(parts, base)
    if tree is None and here is not None:
        tree = tree_of_base(here)
    parts, weights, method = _by_table(given, parts, method, tree)
    method, tree = informed(
        method, parts, weights, rows, tree=tree, same_base=same_base, progress=progress
    )
    # What else is done to the sum depends on it: whether it asks for the base, what it would take.
    step = _step(progress, method.name)
    total = merge(
        parts, weights, method, same_base=same_base, heads=heads, tree=tree, progress=step
    )
    if writable is not None:
        writable(adapter_format=total.format)
    tell_of_heads(parts, heads)
    _tell_of_eight_bits(total)
    # Of most bases no more than the configuration is asked for, and that may be a GGUF file's.
    if base is not None and asks_for_weights(total):
        checkpoint = Checkpoint.open(locate_base(base).folder)
        total = OnBase(checkpoint, {t: a.path for a in parts for t in a.copies}).of(total)
    if rank is None:
        return total, here
    _tell_of_size(total, rank)
    return BestRank(rank, checkpoint).of(total, _step(progress, f"best rank {rank}")), here


def _by_table(
    given: Given, parts: Sequence[Adapter], method: Method, tree: Tree | None
) -> tuple[list[Adapter], Sequence[float], Method]:
    """Give adapters, task weights and method as a table of weights says, where there is one."""
    from superpose.adapter import met
    from superpose.compose import RegMeanTuned, TunedSum

    if given.table is None:
        return list(parts), given.weights, method
    # By the names that the model had when it was tuned, whatever the files call its modules.
    if not isinstance(method, TunedSum | RegMeanTuned):
        parts = met(parts, tree) if given.table.modules else parts
        return *given.table.apply(parts), method
    parts = met(parts, tree)
    tuned = given.table.tuned(parts, method.by)
    told = replace(method, by=tuned.by, weights=tuned.weights)
    return list(parts), [1.0] * len(parts), told


def _step(progress: Progress | None, what: str) -> Callable[[int, int, str], None] | None:
    """Give what a method tells its modules to; what each is called is not shown."""
    step = stepping(progress, what)
    return None if step is None else lambda done, of, _: step(done, of)


def sum_on_base(
    base: Base | None,
    given: Given,
    *,
    heads: Heads = "sum",
    same_base: bool = False,
    ignore_keys: Sequence[str] = (),
) -> tuple[Adapter, LocatedBase]:
    """Bring a base model here, load adapters for it, and give their weighted sum, and the base.

    base: None for the one that the adapters name.
    """
    from superpose.baking.found import tree_of_base
    from superpose.compose import exact_sum
    from superpose.files.checkpoint import Checkpoint

    here = located_of(
        base, lambda: loaded(given.adapters, ignore_keys=ignore_keys, dora=True), same_base
    )
    parts = loaded(given.adapters, base=here.folder, ignore_keys=ignore_keys, dora=True)
    weights: Sequence[float] = given.weights
    if given.table is not None:
        parts, weights = given.table.apply(parts)
    tree = tree_of_base(Checkpoint.open(here.folder))
    total = exact_sum(parts, weights, same_base=same_base, heads=heads, tree=tree)
    tell_of_heads(parts, heads)
    return total, here


def _tell_of_eight_bits(total: Adapter) -> None:
    """Say that a sum of float8 factors is written in a wider dtype."""
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
    from superpose.formats.expanded import size_of_factors

    if not (factors := size_of_factors(total)):
        return
    kept = 8 * rank * sum(sum(delta.shape) for delta in total.values())
    note(
        "note",
        f"the sum's LoHa and LoKr modules would be {size(factors)} as exact factors, which are "
        f"not formed; at rank {rank} all of it takes {size(kept)}",
    )


def asks_for_weights(total: Adapter) -> bool:
    """Say whether a sum cannot be written without a share of the base model's own tensors."""
    from superpose.adapter import enclosed, untied

    if total.copies or any(r.needs_base for r in total.replacements.values()):
        return True
    return bool(enclosed(untied(total)))
