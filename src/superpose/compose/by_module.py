"""Methods that make each target module's delta of the adapters' deltas there, one at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.adapter.made import energy_kept
from superpose.adapter.progress import told
from superpose.adapter.scalars import whole_rank
from superpose.compose.asked_rank import check_asked_rank
from superpose.compose.deltas_alone import check_deltas_alone, split_of
from superpose.compose.method import Method
from superpose.compose.usual_size import common_power, with_power, without_power
from superpose.compose.weighted import weighted_sum
from superpose.errors import placed
from superpose.lowrank import Term, Terms, Truncated, rank as terms_rank, truncated
from superpose.lowrank.canonical_split import without_zeros
from superpose.lowrank.dense_rank import truncated_dense

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

Array: TypeAlias = NDArray[Any]

Result: TypeAlias = Terms | Array
"""One module's delta: as factors, or formed where a method works on entries."""


class ModuleSource(NamedTuple):
    """What one adapter brings to a target module.

    label: of adapter and module, which draws at random go by. split: lambda_k dW_k, canonical, not
    zero.
    """

    label: str
    split: Term

    @property
    def name(self) -> str:
        """The adapter's."""
        return self.label.partition("|")[2].rpartition("|")[0]


@dataclass(frozen=True)
class ByModule(Method):
    """A method whose result in a target module depends on the adapters' deltas there alone.

    The deltas come weighted, in one canonical split, so that the same adapter in other factors
    gives the same result. An adapter takes no part in a module that it lacks, or has at zero.

    rank: the most that a module of the result has; None is what the method gives where that is
    exact in factors, and the exact sum's where the method works on entries, whose result has full
    rank. What is cut is the best approximation, and `made` says what energy it keeps.

    Merging raises Refused for adapters that hold more than deltas, and for products too large to
    be formed.
    """

    what: ClassVar[str]
    """What the result is, in words, before `of deltas`."""

    adds: ClassVar[bool] = False

    rank: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.rank is not None:
            whole_rank(self.rank)

    @abstractmethod
    def of_module(self, sources: Sequence[ModuleSource]) -> Result:
        """Give one module's delta. sources: at least one, none of them zero; not written to."""

    def highest_rank(self, delta: Delta) -> int:
        """Give the most that the result can have in a module. delta: the sum's."""
        return min(*delta.shape, delta.rank)

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give one adapter of several, a module at a time."""
        check_deltas_alone(parts, weights, self.name)
        total = weighted_sum(parts, weights)
        self._check_rank(total)
        deltas, cuts = {}, []
        for key, delta in told(total, progress):
            sources = tuple(_sources(parts, weights, key))
            found = self._found(key, sources, delta) if sources else _zero(delta)
            cuts.append(found)
            deltas[key] = replace(delta, terms=(found.term,))
        kept = None if all(each.exact for each in cuts) else energy_kept(cuts)
        return replace(total, deltas=deltas, made=self.made_of(total, parts, self.what, kept))

    def _found(self, key: str, sources: Sequence[ModuleSource], delta: Delta) -> Truncated:
        """Give one module's result; at a size whose squares float64 holds on the way there."""
        splits = [source.split for source in sources]
        with placed(key):
            power = common_power(splits, [source.name for source in sources], f"`{self.name}`")
        usual = [s._replace(split=without_power(s.split, power)) for s in sources]
        found = self._cut(self.of_module(usual), delta)
        with placed(key):
            return with_power(found, power)

    def _check_rank(self, total: Adapter) -> None:
        ranks = (self.highest_rank(delta) * shared_by(delta) for delta in total.values())
        most = max(ranks, default=0)
        if self.rank is not None:
            check_asked_rank(self.rank, most, self.name)

    def _cut(self, result: Result, delta: Delta) -> Truncated:
        # The groups of a convolution share their module's rank.
        most = None if self.rank is None else max(1, self.rank // shared_by(delta))
        if not isinstance(result, tuple):
            return truncated_dense(result, most or delta.rank)
        found = truncated(result, most or terms_rank(result))
        return found._replace(term=without_zeros(found.term))


def _sources(
    parts: Sequence[Adapter], weights: Sequence[float], key: str
) -> Iterator[ModuleSource]:
    """Give what each adapter brings to a module; adapters of one name are numbered."""
    seen: Counter[str] = Counter()
    for part, weight in zip(parts, weights, strict=True):
        seen[part.name] += 1
        if weight == 0.0 or key not in part:
            continue
        terms = part[key].with_coefficients(lambda c, w=weight: c * w).terms  # type: ignore[misc]
        split = split_of(terms, key, part.label)
        if split.B.any():
            yield ModuleSource(f"{key}|{part.name}|{seen[part.name]}", split)


def _zero(delta: Delta) -> Truncated:
    """Give nothing, where no adapter has more."""
    high, wide = delta.shape
    return Truncated(Term(1.0, np.zeros((high, 1)), np.zeros((1, wide))), 0.0, 0.0, True)


def shared_by(delta: Delta) -> int:
    """Give how many deltas share a module's rank."""
    return max(1, 1 if delta.place is None else delta.place.sharing)
