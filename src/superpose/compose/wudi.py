"""WUDI: the delta that comes nearest to every adapter's on the inputs that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ByModule, ModuleSource
from superpose.compose.shared_inputs import RIDGE, overlapping
from superpose.errors import BadSetting
from superpose.lowrank import Terms
from superpose.lowrank.canonical_split import shared, sides, significant


@dataclass(frozen=True)
class Wudi(ByModule):
    """argmin_W sum_k |(W - D_k) D_k^T|^2 / |D_k|^2, in closed form: W = N (H + ridge h I)^-1.

    D_k = lambda_k dW_k, N = sum_k D_k D_k^T D_k / |D_k|^2, H = sum_k D_k^T D_k / |D_k|^2, h the
    mean of H's eigenvalues that are not zero; without a ridge the pseudoinverse. Cheng et al.,
    WUDI, arXiv 2503.08099, who take 300 to 400 steps of Adam towards it. Orthogonal inputs give the
    sum.

    ridge: at least 0, or BadSetting is raised; None is 0.01 in modules where half of one adapter's
    inputs are another's (|V_i^T V_j|^2 / the smaller rank >= 0.5), and 0 elsewhere.
    """

    name: ClassVar[str] = "wudi"
    what: ClassVar[str] = "a least-squares merge (WUDI)"

    ridge: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge is not None and not 0.0 <= self.ridge < np.inf:
            raise BadSetting(
                f"ridge is {self.ridge:g}; it must be at least 0, and finite", where="ridge"
            )

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        splits = [source.split for source in sources]
        spaces = shared(splits)
        unit = [middle / np.linalg.norm(middle) for middle in spaces.middles]
        # H = X^T X of the units on top of each other, whose singular values are not squared.
        _, s, Vt = np.linalg.svd(np.concatenate(unit, axis=0), full_matrices=False)
        few = significant(s)
        s, Vt = s[:few], Vt[:few]
        ridge = self.ridge
        if ridge is None:
            ridge = RIDGE if overlapping([sides(split)[1] for split in splits]) else 0.0
        pairs = zip(spaces.middles, unit, strict=True)
        N = sum(middle @ (x.T @ (x @ Vt.T)) for middle, x in pairs)
        return (spaces.back((N / (s**2 + ridge * np.mean(s**2))) @ Vt),)
