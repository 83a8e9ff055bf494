"""The exact weighted sum, the method that every other is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.adapter.made import SUM
from superpose.compose.method import Method


@dataclass(frozen=True)
class Sum(Method):
    """W(lambda) = W_0 + sum_k lambda_k dW_k, nothing rounded until it is written.

    Task arithmetic with its task vectors of low rank: Ilharco et al., Editing models with task
    arithmetic, arXiv 2212.04089.
    """

    name: ClassVar[str] = SUM
