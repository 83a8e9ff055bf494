"""SVC: what the merged delta has of each direction, held against what the adapters have of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.adapter import Delta
from superpose.compose.by_module import Array, ModuleSource, Result
from superpose.compose.spectrum import with_spectrum
from superpose.compose.with_rule import WithRule
from superpose.errors import BadSetting
from superpose.lowrank.canonical_split import NEGLIGIBLE

_MOST = 1e100
"""Of `alpha`: a sum over adapters of as much is a number, and leaves nothing long before."""


@dataclass(frozen=True)
class Svc(WithRule):
    """sigma_r <- sigma_r K / sum_k max(alpha, s_rk), s_rk = <u_r^T D, u_r^T D_k> / |u_r^T D_k|^2.

    D = U diag(sigma) V^T is what `rule` makes of D_k = lambda_k dW_k, in K adapters: a direction
    that several share counts several times in their sum, and is brought back. Singular value
    calibration, arXiv 2602.05536.

    alpha: least s that counts, above 0, or BadSetting is raised; published are 0.1 after the sum
    and 1 after other rules. An adapter that does not write to u_r has s_rk = 0. rule: as in
    `WithRule`.
    """

    name: ClassVar[str] = "svc"
    what: ClassVar[str] = "a merge with calibrated singular values (SVC)"

    alpha: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.alpha <= _MOST:
            said = f"alpha is {self.alpha:g}; it must be above 0, and at most {_MOST:g}"
            raise BadSetting(said, where="alpha")

    def highest_rank(self, delta: Delta) -> int:
        """Give the most that the result can have in a module: what the rule's can."""
        return self.ruled_rank(delta)

    def of_module(self, sources: Sequence[ModuleSource]) -> Result:
        """Give one module's delta, in factors where the rule does."""

        def calibrated(U: Array, sigma: Array, Vt: Array) -> Array:
            counts = np.zeros(sigma.size)
            for _, (_, B, A) in sources:
                written = (U.T @ B) @ A
                square = np.einsum("ij,ij->i", written, written)
                along = sigma * np.einsum("ij,ij->i", Vt, written)
                there = square > NEGLIGIBLE**2 * np.sum(B**2) ** 2
                ratio = np.divide(along, square, out=np.zeros(sigma.size), where=there)
                counts += np.maximum(self.alpha, ratio)
            return np.asarray(sigma * len(sources) / counts)

        return with_spectrum(self.ruled(sources), calibrated)
