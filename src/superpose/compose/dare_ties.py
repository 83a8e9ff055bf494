"""DARE-TIES: entries dropped at random, then signs elected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.compose.by_module import Array
from superpose.compose.drawing import check_seed, drawn
from superpose.compose.entries import OnEntries, check_share


@dataclass(frozen=True)
class DareTies(OnEntries):
    """mean over k of the kept M_k * D_k / density whose sign is that of their sum.

    DARE (arXiv 2311.03099) in place of the trimming of TIES (arXiv 2306.01708), as in PEFT and
    mergekit; D_k, density and seed as in `Dare`.
    """

    name: ClassVar[str] = "dare-ties"
    what: ClassVar[str] = "a DARE-TIES merge"
    elects: ClassVar[bool] = True

    density: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)
        check_share(self.density, "density")

    def kept(self, x: Array, label: str) -> Array:
        """Give a delta with some of its entries, scaled up."""
        return drawn(x, self.density, self.seed, label)
