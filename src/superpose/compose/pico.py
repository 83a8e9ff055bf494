"""Pico: what many adapters write to is turned down before they are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ByModule, ModuleSource
from superpose.lowrank import Terms
from superpose.lowrank.canonical_split import shared


@dataclass(frozen=True)
class Pico(ByModule):
    """sum_k (I + U diag(a - 1) U^T) D_k, at the mean norm of the D_k.

    sum_k D_k D_k^T = U diag(sigma^2) U^T with D_k = lambda_k dW_k, c = sigma^2 / sum(sigma^2),
    a = 1 / (1 + (K - 1) c). Pico, arXiv 2604.16826, whose U and sigma are those of [B_1 .. B_K] as
    files hold them; these are those of the deltas, and do not depend on how they were split.
    """

    name: ClassVar[str] = "pico"
    what: ClassVar[str] = "a sum, shared outputs turned down (Pico),"

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        spaces = shared([source.split for source in sources])
        U, sigma, _ = np.linalg.svd(np.concatenate(spaces.middles, axis=1), full_matrices=False)
        share = (sigma / sigma[0]) ** 2
        share /= share.sum()
        less = 1.0 / (1.0 + (len(sources) - 1) * share) - 1.0
        total = sum(spaces.middles)
        total = total + U @ (less[:, None] * (U.T @ total))
        size = float(np.linalg.norm(total))
        mean = np.mean([np.linalg.norm(middle) for middle in spaces.middles])
        return (spaces.back(total * (mean / size if size > 0.0 else 0.0)),)
