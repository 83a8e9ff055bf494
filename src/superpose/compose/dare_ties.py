"""DARE-TIES: entries dropped at random, then signs elected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.compose.dare import Dare


@dataclass(frozen=True)
class DareTies(Dare):
    """mean over k of the kept M_k * D_k / density whose sign is that of their sum.

    DARE (arXiv 2311.03099) in place of the trimming of TIES (arXiv 2306.01708), as in PEFT and
    mergekit; D_k, density and seed as in `Dare`.
    """

    name: ClassVar[str] = "dare-ties"
    what: ClassVar[str] = "a DARE-TIES merge"
    elects: ClassVar[bool] = True
