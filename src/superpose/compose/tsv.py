"""TSV-Merge: the adapters' singular vectors side by side, made orthogonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ByModule, ModuleSource
from superpose.compose.entries import check_share
from superpose.lowrank import Term, Terms
from superpose.lowrank.canonical_split import polar, sides, sizes


@dataclass(frozen=True)
class Tsv(ByModule):
    """polar([U_1 .. U_K]) diag(s_1 .. s_K) polar([V_1 .. V_K])^T, of D_k = U_k diag(s_k) V_k^T.

    D_k = lambda_k dW_k; polar(X) is the nearest matrix with orthonormal columns. Gargiulo et al.,
    Task singular vectors, arXiv 2412.00081: orthogonal adapters give their sum.

    share: of each adapter's singular triples, the leading ones, at least one; None is 1/K of them
    with K adapters in the module. In (0, 1], or BadSetting is raised.
    """

    name: ClassVar[str] = "tsv"
    what: ClassVar[str] = "a merge of singular vectors (TSV)"

    share: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is not None:
            check_share(self.share, "share")

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        lefts, rights, values = [], [], []
        for _, split in sources:
            U, V = sides(split)
            few = self._kept(split.rank, len(sources))
            lefts.append(U[:, :few])
            rights.append(V[:, :few])
            values.append(sizes(split)[:few])
        left = polar(np.concatenate(lefts, axis=1)) * np.concatenate(values)
        return (Term(1.0, left, polar(np.concatenate(rights, axis=1)).T),)

    def _kept(self, rank: int, adapters: int) -> int:
        # The margin: 49 times 1/49 is a little less than 1.
        share = rank // adapters if self.share is None else int(rank * self.share + 1e-9)
        return max(1, share)
