"""TIES: trim, elect signs, and average what agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import Array
from superpose.compose.entries import OnEntries, check_share


@dataclass(frozen=True)
class Ties(OnEntries):
    """mean over k of the kept D_k(i, j) whose sign is that of sum_k kept D_k(i, j).

    D_k = lambda_k dW_k, of which the `density` largest entries by magnitude are kept, in each
    module on its own (the paper counts over the whole model, and its code keeps one more). Yadav et
    al., TIES-Merging, arXiv 2306.01708, whose own scale is a common task weight.

    density: share of entries kept, in (0, 1], or BadSetting is raised.
    """

    name: ClassVar[str] = "ties"
    what: ClassVar[str] = "a TIES merge"
    elects: ClassVar[bool] = True

    density: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.density, "density")

    def kept(self, x: Array, label: str) -> Array:
        """Give a delta with its largest entries alone."""
        count = max(1, round(self.density * x.size))
        if count < x.size:
            sizes = np.abs(x)
            least = np.partition(sizes.reshape(-1), x.size - count)[x.size - count]
            x[sizes < least] = 0.0
        return x
