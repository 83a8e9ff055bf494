"""KnOTS: the adapters' inputs merged, in the outputs that all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ByModule, ModuleSource
from superpose.compose.entries import OnEntries
from superpose.compose.method import Method
from superpose.compose.ties import Ties
from superpose.compose.with_rule import WithRule
from superpose.errors import BadSetting
from superpose.lowrank import Term, Terms
from superpose.lowrank.canonical_split import shared, significant


@dataclass(frozen=True)
class Knots(WithRule):
    """U diag(s) rule(V_1 .. V_K)^T of [D_1 .. D_K] = U diag(s) [V_1^T .. V_K^T].

    D_k = lambda_k dW_k side by side. Stoica et al., Model merging with SVD to tie the KnOTS, arXiv
    2410.19735. With the sum for a rule it is the sum.

    rule: a method on entries (ties, dare, dare-ties, della) or the sum, or BadSetting is raised.
    """

    name: ClassVar[str] = "knots"
    what: ClassVar[str] = "a merge by shared outputs (KnOTS)"

    rule: Method = field(default=Ties(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.rule, ByModule) and not isinstance(self.rule, OnEntries):
            raise BadSetting(f"`{self.rule.name}` is no method on entries", where="rule")

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        spaces = shared([source.split for source in sources])
        U, s, Vt = np.linalg.svd(np.concatenate(spaces.middles, axis=1), full_matrices=False)
        few = significant(s)
        blocks = np.split(Vt[:few], len(sources), axis=1)
        labels = [source.label for source in sources]
        merged = self.ruled_small(labels, [block @ spaces.inputs.T for block in blocks])
        return (Term(1.0, spaces.outputs @ (U[:, :few] * s[:few]), merged),)
