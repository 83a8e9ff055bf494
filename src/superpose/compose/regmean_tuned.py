"""RegMean, and task weights on top that were fitted to question rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter
from superpose.compose.regmean import RegMean
from superpose.compose.tuned import FineWeights, TunedSum
from superpose.errors import BadSetting

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress


@dataclass(frozen=True)
class RegMeanTuned(RegMean):
    """sum_k w_km B_k A_k' in module m: RegMean's parts, each with weights as in `TunedSum`.

    A_k' = lambda_k A_k C_k (sum_j C_j + eps I)^-1 is what `RegMean` makes of adapter k, and has the
    deltas B_k A_k' whose directions are weighted by "direction". The inputs, which need no answers,
    do the most; the weights are fitted to answers, and with all of them 1 it is RegMean.

    by: what has a weight of its own, as in `TunedSum`. weights: of each adapter's part, in their
    order. statistics, ridge, rank: as in `RegMean`. Raises as both do.
    """

    name: ClassVar[str] = "regmean-tuned"
    what: ClassVar[str] = "the regression with tuned weights"

    by: str = "module"
    weights: tuple[FineWeights, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        TunedSum(self.by)

    def summed(
        self, apart: Sequence[Adapter], total: Adapter, progress: Progress | None
    ) -> Adapter:
        """Give the sum of the parts with their fine weights."""
        if len(self.weights) != len(apart):
            raise BadSetting(
                f"{len(apart)} adapters and the fine weights of {len(self.weights)}",
                where="weights",
                hint=f"`{self.name}` needs what rows of each domain say: --data ROWS.jsonl, once "
                "for each adapter.",
            )
        ones = [1.0] * len(apart)
        return TunedSum(self.by, self.weights).merged(apart, ones, progress)
