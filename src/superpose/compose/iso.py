"""Iso-C and Iso-CTS: every direction of the sum as strong as every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.by_module import Array, ByModule, ModuleSource
from superpose.compose.entries import check_share
from superpose.errors import BadSetting
from superpose.lowrank import Terms
from superpose.lowrank.canonical_split import NEGLIGIBLE, Shared, polar, shared, sizes

VARIANTS = ("c", "cts")


@dataclass(frozen=True)
class Iso(ByModule):
    """mean(s) U V^T of the sum U diag(s) V^T.

    Marczak et al., No task left behind, arXiv 2502.04959. The mean is over the singular values that
    the sum has (its rank, not the smaller side of the module), so that the trace norm stays.
    Variant "c" is that. Variant "cts" replaces the sum's weakest directions: of its R singular
    triples the leading k = R - K t are kept, and t = max(1, (1 - common) R / K, rounded down) are
    added of each (I - U_k U_k^T) D_i; the vectors of both sides are made orthogonal (`Tsv`'s
    polar), and all singular values their mean.

    common: share of the directions that is the sum's, in (0, 1]. Raises BadSetting for another
    variant or share.
    """

    name: ClassVar[str] = "iso"
    what: ClassVar[str] = "an isotropic merge"

    variant: str = "c"
    common: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in VARIANTS:
            raise BadSetting(f"`{self.variant}` is none of c, cts", where="variant")
        check_share(self.common, "common")

    def of_module(self, sources: Sequence[ModuleSource]) -> Terms:
        """Give one module's delta, in factors."""
        spaces = shared([source.split for source in sources])
        left, s, right = np.linalg.svd(sum(spaces.middles))
        largest = max(float(sizes(source.split)[0]) for source in sources)
        rank = int(np.count_nonzero(s > NEGLIGIBLE * largest))
        if rank == 0:  # they cancel
            return (spaces.back(0.0 * spaces.middles[0]),)
        if self.variant == "c":
            middle = s[:rank].mean() * (left[:, :rank] @ right[:rank])
        else:
            middle = self._with_tasks(spaces, left[:, :rank], s[:rank], right[:rank].T)
        return (spaces.back(middle),)

    def _with_tasks(self, spaces: Shared, U: Array, s: Array, V: Array) -> Array:
        """Give the sum's leading directions with each adapter's own, all of one size."""
        tasks = len(spaces.middles)
        each = max(1, int((1.0 - self.common) * s.size / tasks + 1e-9))
        few = max(0, s.size - tasks * each)
        lefts, rights, values = [U[:, :few]], [V[:, :few]], [s[:few]]
        for middle in spaces.middles:
            own = middle - lefts[0] @ (lefts[0].T @ middle)
            left, size, right = np.linalg.svd(own, full_matrices=False)
            there = size[:each] > NEGLIGIBLE * np.linalg.norm(middle)
            lefts.append(left[:, :each][:, there])
            rights.append(right[:each][there].T)
            values.append(size[:each][there])
        mean = np.concatenate(values).mean()
        left, right = (polar(np.concatenate(x, axis=1)) for x in (lefts, rights))
        return np.asarray(mean * (left @ right.T))
