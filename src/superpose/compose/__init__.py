"""Ways to make one adapter of several: one file a method, `merge` their one entrance."""

from collections.abc import Mapping

from superpose.compose.average import Average
from superpose.compose.best_rank import BestRank
from superpose.compose.dare import Dare
from superpose.compose.dare_ties import DareTies
from superpose.compose.della import Della
from superpose.compose.equal_norm import EqualNorm
from superpose.compose.merging import exact_sum, merge
from superpose.compose.method import Method
from superpose.compose.on_base import OnBase
from superpose.compose.sum import Sum
from superpose.compose.ties import Ties

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        Sum,
        BestRank,
        OnBase,
        Average,
        EqualNorm,
        Ties,
        Dare,
        DareTies,
        Della,
    )
}
"""Every method by its name, which files that it made note."""

__all__ = [
    "METHODS",
    "Average",
    "BestRank",
    "Dare",
    "DareTies",
    "Della",
    "EqualNorm",
    "Method",
    "OnBase",
    "Sum",
    "Ties",
    "exact_sum",
    "merge",
]
