"""RegMean: the one delta that answers each domain's inputs as that domain's adapter does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from superpose.compose.from_inputs import FromInputs
from superpose.lowrank.second_moment import SecondMoment, regressed
from superpose.lowrank.terms import Array


@dataclass(frozen=True)
class RegMean(FromInputs):
    """argmin over dW of sum_k |(dW - lambda_k dW_k) X_k|^2, in each target module.

    X_k are the inputs that the module sees on rows of domain k; C_k = X_k X_k^T / tokens is all
    that is needed of them, and questions need no answers. The solution keeps the Bs:
    dW = sum_k B_k A_k', A_k' = lambda_k A_k C_k (sum_j C_j + eps I)^-1, so its rank is that of the
    exact sum. Jin et al., Dataless Knowledge Fusion, arXiv 2212.09849, for whole weights; here in
    the space of the factors. It depends on the deltas alone, not on how they were split. Equal C_k
    give the average; one adapter alone comes back, but for the ridge. A domain without statistics
    of a module does not count there.

    statistics, ridge, rank, and what is raised: as in `FromInputs`; eps is the ridge by the mean
    diagonal of sum_j C_j.
    """

    name: ClassVar[str] = "regmean"
    what: ClassVar[str] = "the regression"
    counts_all: ClassVar[bool] = True

    def solved(
        self, rows: Sequence[Array], moments: Sequence[SecondMoment], ridge: float
    ) -> list[Array]:
        """Give lambda_k A_k C_k (sum_j C_j + eps I)^-1."""
        return regressed(rows, moments, ridge)
