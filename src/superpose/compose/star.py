"""STAR: the weak directions cut, the rest scaled back to the old nuclear norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.adapter import Delta
from superpose.compose.by_module import Array, ModuleSource, Result
from superpose.compose.entries import check_share
from superpose.compose.spectrum import with_spectrum
from superpose.compose.with_rule import WithRule
from superpose.lowrank.canonical_split import canonical


@dataclass(frozen=True)
class Star(WithRule):
    """U diag(sigma') V^T: the fewest leading sigma that sum to eta |sigma|_1, by their share of it.

    Of what `rule` makes of D_k = lambda_k dW_k, or with `each` of every D_k before the rule, which
    is how it was published: Lee et al., STAR, arXiv 2502.10339. The nuclear norm stays.

    eta: share of the nuclear norm, in (0, 1], or BadSetting is raised. rule: as in `WithRule`.
    """

    name: ClassVar[str] = "star"
    what: ClassVar[str] = "a merge with its spectrum truncated and rescaled (STAR)"

    eta: float = 0.4
    each: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.eta, "eta")

    def highest_rank(self, delta: Delta) -> int:
        """Give the most that the result can have in a module: what the rule's can."""
        return self.ruled_rank(delta)

    def of_module(self, sources: Sequence[ModuleSource]) -> Result:
        """Give one module's delta, in factors where the rule does."""
        if not self.each:
            return with_spectrum(self.ruled(sources), self._truncated)
        cut = []
        for label, split in sources:
            found = with_spectrum((split,), self._truncated)
            assert isinstance(found, tuple)
            cut.append(ModuleSource(label, canonical(found)))
        return self.ruled(cut)

    def _truncated(self, U: Array, sigma: Array, Vt: Array) -> Array:
        share = np.cumsum(sigma) / np.sum(sigma)
        few = int(np.searchsorted(share, self.eta - 1e-12)) + 1
        kept = np.where(np.arange(sigma.size) < few, sigma, 0.0)
        return np.asarray(kept * (np.sum(sigma) / np.sum(kept)))
