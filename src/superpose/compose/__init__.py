"""Ways to make one adapter of several: one file a method, `merge` their one entrance."""

from collections.abc import Mapping

from superpose.compose.best_rank import BestRank
from superpose.compose.merging import exact_sum, merge
from superpose.compose.method import Method
from superpose.compose.on_base import OnBase
from superpose.compose.sum import Sum

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        Sum,
        BestRank,
        OnBase,
    )
}
"""Every method by its name, which files that it made note."""

__all__ = ["METHODS", "BestRank", "Method", "OnBase", "Sum", "exact_sum", "merge"]
