"""Compress-then-merge: a rule on what all adapters are in one small pair of subspaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ModuleSource
from superpose.compose.method import Method
from superpose.compose.ties import Ties
from superpose.compose.with_rule import WithRule
from superpose.errors import BadSetting
from superpose.lowrank import Terms
from superpose.lowrank.canonical_split import shared
from superpose.lowrank.joint import one_length, subspaces


@dataclass(frozen=True)
class Ctm(WithRule):
    """U rule(C_1 .. C_K) V^T with C_k = U^T D_k V; U, V of r columns maximise sum_k |U^T D'_k V|^2.

    D_k = lambda_k dW_k, D'_k = D_k (beta + (1 - beta) mean_j |D_j| / |D_k|). The maximum is found
    by higher-order orthogonal iteration, 30 rounds from the leading singular vectors. Compress then
    merge, arXiv 2606.03723; rule and defaults are those of its code.

    rank: r, None the largest rank of an adapter in the module. beta: in [0, 1], or BadSetting is
    raised; 1 leaves the adapters' sizes as they are, 0 makes them alike. rule: as in `WithRule`.
    """

    name: ClassVar[str] = "ctm"
    what: ClassVar[str] = "a merge after compression (CtM)"

    beta: float = 0.25
    rule: Method = field(default=Ties(density=0.25), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.beta <= 1.0:
            raise BadSetting(f"beta is {self.beta:g}; it must be from 0 to 1", where="beta")

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        spaces = shared([source.split for source in sources])
        rank = self.rank or max(source.split.rank for source in sources)
        sizes = one_length([float(np.linalg.norm(x)) for x in spaces.middles], self.beta)
        scaled = [size * left for size, left in zip(sizes, spaces.lefts, strict=True)]
        U, V = subspaces(scaled, spaces.rights, rank)
        small = [U.T @ middle @ V for middle in spaces.middles]
        merged = self.ruled_small([source.label for source in sources], small)
        return (spaces.back(U @ merged @ V.T),)
