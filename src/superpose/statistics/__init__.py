"""Intervals and correlations that say how little few points can show."""

from superpose.statistics.correlation import Correlation, chance_correlation, correlate
from superpose.statistics.permutation import Permutation, permute_domains
from superpose.statistics.perplexity import (
    Perplexity,
    Ratio,
    ShareKept,
    perplexity_interval,
    ratio_interval,
    share_interval,
)
from superpose.statistics.seeds import over_seeds
from superpose.statistics.shares import clopper_pearson, wilson
from superpose.statistics.student import student_quantile

__all__ = [
    "Correlation",
    "Permutation",
    "Perplexity",
    "Ratio",
    "ShareKept",
    "chance_correlation",
    "clopper_pearson",
    "correlate",
    "over_seeds",
    "permute_domains",
    "perplexity_interval",
    "ratio_interval",
    "share_interval",
    "student_quantile",
    "wilson",
]
