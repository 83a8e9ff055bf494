"""A study's summary: what was measured, foreseen, and told by the weights."""

from superpose.studies.summary.foreseen import (
    Accuracy,
    ForecastCost,
    ForecastRow,
    ForecastSummary,
    Inside,
    InsideOf,
    SeedAdvice,
    TunedWeights,
    told_from,
)
from superpose.studies.summary.measured import (
    AccuracyRow,
    AgainstSum,
    Kept,
    MatchRow,
    MethodRow,
    RowCounts,
    Spread,
    SpreadChange,
    SubsetSums,
    SumRow,
)
from superpose.studies.summary.related import FigureCorrelation, SubsetPoint
from superpose.studies.summary.summary import Summary

__all__ = [
    "Accuracy",
    "AccuracyRow",
    "AgainstSum",
    "FigureCorrelation",
    "ForecastCost",
    "ForecastRow",
    "ForecastSummary",
    "Inside",
    "InsideOf",
    "Kept",
    "MatchRow",
    "MethodRow",
    "RowCounts",
    "SeedAdvice",
    "Spread",
    "SpreadChange",
    "SubsetPoint",
    "SubsetSums",
    "SumRow",
    "Summary",
    "TunedWeights",
    "told_from",
]
