"""A sum whose task weights were fitted to question rows: by adapter, layer, module or direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter
from superpose.adapter.delta import FineWeight
from superpose.adapter.progress import told
from superpose.compose.deltas_alone import check_deltas_alone
from superpose.compose.method import Method
from superpose.compose.weighted import weighted_sum
from superpose.errors import BadSetting

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

FINENESS = ("adapter", "layer", "kind", "module", "direction")
"""What has a weight of its own."""


@dataclass(frozen=True, eq=False)
class FineWeights(Mapping[str, FineWeight]):
    """One adapter's task weights, by target module: a number, or one for each direction there."""

    weights: Mapping[str, FineWeight]

    def __getitem__(self, module: str) -> FineWeight:
        return self.weights[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class TunedSum(Method):
    """sum_k lambda_k sum_i w_kmi s_i u_i v_i^T in module m, the SVD of dW_k there being u, s, v.

    By "direction" each rank-one term of an adapter has a weight w of its own, as in TARA-Merge,
    arXiv 2603.26299; else all of a module, of a layer, of one kind of module or of the adapter have
    the same (CAT, LoRA Soups, arXiv 2410.13025). `superpose.tune` fits them, as does the arena of
    methods; with all of them 1 it is the sum. Directions are those of the deltas, not of factors.

    by: as told. weights: of each adapter, in their order. Raises BadSetting for another word, and
    merging for another number of weights than of adapters, BadInput for a module without one, or
    with another number of them than it has directions.
    """

    name: ClassVar[str] = "tuned"

    by: str = "direction"
    weights: tuple[FineWeights, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.by not in FINENESS:
            raise BadSetting(f"`{self.by}` is none of {', '.join(FINENESS)}", where="by")

    def check(self, parts: Sequence[Adapter], weights: Sequence[float]) -> None:
        """Raise Refused for adapters that hold more than deltas."""
        check_deltas_alone(parts, weights, self.name)

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give the sum of the adapters with their fine weights."""
        self.check(parts, weights)
        if len(self.weights) != len(parts):
            raise BadSetting(
                f"{len(parts)} adapters and the fine weights of {len(self.weights)}",
                where="weights",
                hint="`tuned` needs what rows of each domain say: --data ROWS.jsonl once for each "
                "adapter, or --weights FILE of superpose tune --by direction --json.",
            )
        total = weighted_sum(parts, weights)
        pairs = zip(parts, self.weights, strict=True)
        fine = weighted_sum([part.scaled_by_module(own) for part, own in pairs], weights)
        deltas = dict(told(fine.deltas, progress))
        what = f"a sum with tuned weights by {self.by}"
        return replace(total, deltas=deltas, made=self.made_of(total, parts, what))
