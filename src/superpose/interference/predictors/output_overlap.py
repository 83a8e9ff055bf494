"""Whether the adapters write to the same outputs.

mean_m |Q_i^T Q_j|_F^2 / min(r_i, r_j) of the column spaces of B (DESIGN, formula 4); the column
space of a sum is that of all its adapters together. Source of the claim that interference sits
there: Pico, "Crowded in B-space", arXiv 2604.16826, whose own figure differs.
"""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["output_overlap"]


def output_overlap(case: Case) -> float:
    """Give the output-side overlap of the own adapter and the sum of the others, 0 to 1.

    NaN where no target module has both. Invariant under A -> RA, B -> B R^-1 and any scale.
    """
    return case.pair.output_overlap
