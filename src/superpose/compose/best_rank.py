"""The best approximation of a superposition by one of smaller rank, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter
from superpose.adapter.made import BEST_RANK, made_by_rank
from superpose.adapter.scalars import whole_rank
from superpose.compose.asked_rank import check_asked_rank
from superpose.compose.method import Method
from superpose.compose.on_base import rescaled_deltas
from superpose.lowrank.truncation import Truncated, truncated

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress
    from superpose.files.checkpoint import Checkpoint


@dataclass(frozen=True)
class BestRank(Method):
    """The sum, or its best approximation with at most `rank` in each module where that is less.

    Truncated SVD, module by module, from the factors alone: Eckart and Young, The approximation of
    one matrix by another of lower rank, Psychometrika 1 (1936). At its own rank a sum stays exact.

    rank: a whole number of at least 1, or BadInput is raised; merging raises BadSetting for one
    above the sum's. base: what the weights of DoRA are approximated on, which have full rank; it
    raises as `rescaled_deltas` does.
    """

    name: ClassVar[str] = BEST_RANK

    rank: int
    base: Checkpoint | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        whole_rank(self.rank)

    def of(self, total: Adapter, progress: Progress | None = None) -> Adapter:
        """Give the best approximation of one adapter; its `made` has the energy that it keeps."""
        rescaled = [r for r in total.replacements.values() if not r.absolute]
        if not (rescaled and self.base):
            check_asked_rank(self.rank, total.rank, total.made.method)
            if self.rank == total.rank:
                return total
        smaller, modules = total.compress_measured(self.rank, progress)
        measured = dict(zip(total, modules, strict=True))
        if rescaled and self.base is not None:
            smaller = _with_rescaled(smaller, total, self.rank, self.base, measured)
        return replace(smaller, made=made_by_rank(total, self.rank, measured.values()))


def _with_rescaled(
    smaller: Adapter, adapter: Adapter, rank: int, base: Checkpoint, measured: dict[str, Truncated]
) -> Adapter:
    """Put the best approximation of what DoRA changes in the place of its replacements."""
    deltas = dict(smaller.deltas)
    for key, delta in rescaled_deltas(adapter, base):
        measured[key] = truncated(delta.terms, rank)
        deltas[key] = replace(delta, terms=(measured[key].term,))
    stored = {k: r for k, r in adapter.replacements.items() if r.absolute}
    return replace(smaller, deltas=deltas, replacements=stored)
