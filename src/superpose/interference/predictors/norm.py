"""How large the others are, whatever their direction.

|sum_j dW_j|, the Frobenius norm over all target modules.
"""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["norm"]


def norm(case: Case) -> float:
    """Give the norm of the sum of the others: a control that knows no angle to the own adapter."""
    return case.pair.norms[1]
