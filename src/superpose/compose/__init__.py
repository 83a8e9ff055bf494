"""Ways to make one adapter of several: one file a method, `merge` their one entrance."""

from collections.abc import Mapping

from superpose.compose.average import Average
from superpose.compose.best_rank import BestRank
from superpose.compose.core_space import CoreSpace
from superpose.compose.ctm import Ctm
from superpose.compose.dare import Dare
from superpose.compose.dare_ties import DareTies
from superpose.compose.della import Della
from superpose.compose.equal_norm import EqualNorm
from superpose.compose.iso import Iso
from superpose.compose.knots import Knots
from superpose.compose.merging import exact_sum, merge
from superpose.compose.method import Method
from superpose.compose.on_base import OnBase
from superpose.compose.orthogonal import Orthogonal
from superpose.compose.pico import Pico
from superpose.compose.regmean import RegMean
from superpose.compose.regmean_tuned import RegMeanTuned
from superpose.compose.ssr import Ssr
from superpose.compose.star import Star
from superpose.compose.sum import Sum
from superpose.compose.svc import Svc
from superpose.compose.ties import Ties
from superpose.compose.tsv import Tsv
from superpose.compose.tuned import FineWeights, TunedSum
from superpose.compose.wudi import Wudi

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
        Knots,
        Tsv,
        Iso,
        CoreSpace,
        Ctm,
        Pico,
        Wudi,
        Svc,
        Star,
        Orthogonal,
    )
}
"""Every method by its name, which files that it made note, that needs nothing but the adapters."""

FROM_DATA: Mapping[str, type[Method]] = {
    method.name: method for method in (RegMean, Ssr, TunedSum, RegMeanTuned)
}
"""Every method that needs something of the adapters' domains as well."""

__all__ = [
    "FROM_DATA",
    "METHODS",
    "Average",
    "BestRank",
    "CoreSpace",
    "Ctm",
    "Dare",
    "DareTies",
    "Della",
    "EqualNorm",
    "FineWeights",
    "Iso",
    "Knots",
    "Method",
    "OnBase",
    "Orthogonal",
    "Pico",
    "RegMean",
    "RegMeanTuned",
    "Ssr",
    "Star",
    "Sum",
    "Svc",
    "Ties",
    "Tsv",
    "TunedSum",
    "Wudi",
    "exact_sum",
    "merge",
]
