"""Core space: any rule on small matrices between two bases that all adapters share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from superpose.compose.by_module import ModuleSource
from superpose.compose.method import Method
from superpose.compose.ties import Ties
from superpose.compose.with_rule import WithRule
from superpose.lowrank import Terms
from superpose.lowrank.canonical_split import shared


@dataclass(frozen=True)
class CoreSpace(WithRule):
    """U_B rule(M_1 .. M_K) V_A^T with M_k = U_B^T D_k V_A, D_k = lambda_k dW_k.

    Panariello et al., Accurate and efficient low-rank model merging in core space, arXiv
    2509.17786, whose bases are the singular vectors of the stacked factors as files hold them;
    these are those of the stacked canonical factors (`lowrank.canonical_split.shared`), so that
    rules on entries do not depend on how the adapters were split. Linear rules give the sum.

    rule: as in `WithRule`.
    """

    name: ClassVar[str] = "core"
    what: ClassVar[str] = "a merge in core space"

    rule: Method = field(default=Ties(), kw_only=True)

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        spaces = shared([source.split for source in sources])
        labels = [source.label for source in sources]
        return (spaces.back(self.ruled_small(labels, spaces.middles)),)
