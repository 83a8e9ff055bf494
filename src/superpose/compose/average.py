"""The weighted mean, which is the sum with weights that sum to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter
from superpose.compose.method import Method
from superpose.compose.weighted import weighted_sum
from superpose.errors import BadInput

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress


@dataclass(frozen=True)
class Average(Method):
    """sum_k lambda_k dW_k / sum_k lambda_k: exact, and of stored tensors too, without the base.

    An adapter without a module counts there as zero. Wortsman et al., Model soups, arXiv
    2203.05482. Merging raises BadInput where the task weights do not sum to more than 0.
    """

    name: ClassVar[str] = "average"

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give the sum with each task weight by the sum of all."""
        whole = math.fsum(weights)
        if whole <= 0.0:
            raise BadInput(
                f"the task weights sum to {whole:g}; of that there is no average",
                hint="Give weights that sum to more than 0, or take --method sum.",
            )
        total = weighted_sum(parts, weights)
        mean = weighted_sum(parts, [weight / whole for weight in weights])
        made = self.made_of(total, parts, "the weighted mean")
        return replace(total, deltas=mean.deltas, replacements=mean.replacements, made=made)
