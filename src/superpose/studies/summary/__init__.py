"""A study's summary: what was measured, foreseen, and told by the weights."""

from superpose.studies.summary.foreseen import (
    Agreement,
    Calibration,
    ForecastRow,
    ForecastSummary,
    Inside,
    InsideOf,
    SeedAdvice,
    TunedWeights,
)
from superpose.studies.summary.measured import (
    Change,
    DomainRows,
    Kept,
    MethodRow,
    Spread,
    SubsetSums,
    SumRow,
)
from superpose.studies.summary.related import FigureCorrelation, Point
from superpose.studies.summary.summary import Summary

__all__ = [
    "Agreement",
    "Calibration",
    "Change",
    "DomainRows",
    "FigureCorrelation",
    "ForecastRow",
    "ForecastSummary",
    "Inside",
    "InsideOf",
    "Kept",
    "MethodRow",
    "Point",
    "SeedAdvice",
    "Spread",
    "SubsetSums",
    "SumRow",
    "Summary",
    "TunedWeights",
]
