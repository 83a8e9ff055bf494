"""The second-order change of the loss at the own adapter, its curvature Kronecker-factored.

grad L_i(t_i) · t_S + t_S' H t_S / 2 with t_S = sum_j dW_j: the slope is exact, the curvature is
approximate and needs one backward pass. Source of the curvature: Martens and Grosse,
arXiv 1503.05671; of the expansion: Daheim et al., arXiv 2310.12808.
"""

from __future__ import annotations

from superpose.landscape.predictors.case import DataCase
from superpose.landscape.predictors.gradient import gradient

__all__ = ["kronecker"]


def kronecker(case: DataCase) -> float:
    """Give the predicted interference in nats an answer token.

    Raises BadInput where the slope at the own adapter was not measured.
    """
    curvature = case.calibration.inner.curvature.sum(axis=0)
    return gradient(case) + float(case.rest @ curvature @ case.rest) / 2
