"""How many others there are: larger sums disturb more, whatever is in them."""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["count"]


def count(case: Case) -> float:
    """Give the number of others: a constant among pairs, a control among larger subsets."""
    return float(len(case.others))
