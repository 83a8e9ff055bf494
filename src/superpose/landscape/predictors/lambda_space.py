"""Lambda space: a polynomial in lambda, fitted to values and slopes.

L_i(t_i + sum_j dW_j) - L_i(t_i) of the polynomial that `superpose predict` fits, measured at
2 K + 2 forward passes a row (`design_points`). A quadratic in lambda is MAP's model
(arXiv 2406.07529); slopes make it cheap, and give the third order along single adapters.
"""

from __future__ import annotations

from superpose.landscape.predictors.case import DataCase

__all__ = ["lambda_space"]


def lambda_space(case: DataCase) -> float:
    """Give the predicted interference in nats an answer token."""
    fitted = case.calibration.loss
    return float(fitted.predict((case.alone + case.rest)[None], against=case.alone).nll[0])
