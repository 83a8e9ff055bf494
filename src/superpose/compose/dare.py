"""DARE: entries dropped at random, the rest scaled up, and added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.compose.by_module import Array
from superpose.compose.drawing import check_seed, drawn
from superpose.compose.entries import OnEntries, check_share


@dataclass(frozen=True)
class Dare(OnEntries):
    """sum_k M_k * D_k / density, the entries of M_k being 1 with that probability and 0 else.

    D_k = lambda_k dW_k; the expectation is the sum. Yu et al., Language models are super Mario,
    arXiv 2311.03099. PEFT drops entries of the factors; mergekit scales to the old L1 norm.

    density: share of entries kept, in (0, 1], or BadSetting is raised. seed: of the draws, which go
    by the names of adapters and modules, not by their order.
    """

    name: ClassVar[str] = "dare"
    what: ClassVar[str] = "a DARE merge"
    elects: ClassVar[bool] = False

    density: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)
        check_share(self.density, "density")

    def kept(self, x: Array, label: str) -> Array:
        """Give a delta with some of its entries, scaled up."""
        return drawn(x, self.density, self.seed, label)
