"""Each adapter without what the earlier ones read: the first one's inputs stay its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import ByModule, ModuleSource
from superpose.errors import BadSetting
from superpose.lowrank import Term, Terms
from superpose.lowrank.canonical_split import sides, significant, tall_svd


@dataclass(frozen=True)
class Orthogonal(ByModule):
    """sum_k D_k (I - c P_k), P_k the projector on the inputs that D_1 .. D_(k-1) read.

    D_k = lambda_k dW_k, in the order given; c = mu / (1 + mu), 1 where mu is None. With c = 1 the
    result does to the inputs of D_1 what D_1 does. NP-LoRA, arXiv 2511.11051, for two adapters.

    mu: at least 0, or BadSetting is raised.
    """

    name: ClassVar[str] = "orthogonal"
    what: ClassVar[str] = "a sum, each without the inputs of those before it,"

    mu: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mu is not None and not 0.0 <= self.mu < np.inf:
            raise BadSetting(f"mu is {self.mu:g}; it must be at least 0, and finite", where="mu")

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        strength = 1.0 if self.mu is None else self.mu / (1.0 + self.mu)
        terms = [sources[0].split]
        read = [sides(sources[0].split)[1]]
        for _, (c, B, A) in sources[1:]:
            basis, s, _ = tall_svd(np.concatenate(read, axis=1))
            basis = basis[:, : significant(s)]
            terms.append(Term(c, B, A - strength * (A @ basis) @ basis.T))
            read.append(sides(Term(c, B, A))[1])
        return tuple(terms)
