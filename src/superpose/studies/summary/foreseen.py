"""What a study's forecasts said beside what was measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from superpose.studies.summary.measured import Held, Names

__all__ = [
    "Accuracy",
    "ForecastCost",
    "ForecastRow",
    "ForecastSummary",
    "Inside",
    "InsideOf",
    "SeedAdvice",
    "TunedWeights",
    "told_from",
]


def told_from(sizes: Collection[int]) -> str:
    """Say which naive sums a forecast had measured itself, on its calibration rows.

    sizes: numbers of adapters of the sums that are shown, the largest being that of all.
    """
    if any(2 < size < max(sizes) for size in sizes):
        return "sums of two and of all measured there, those between foretold"
    return "each of these sums measured there"


@dataclass(frozen=True)
class ForecastRow(Held):
    """A naive sum on one of its domains: what was predicted and measured, nats an answer token."""

    seed: int
    subset: Names
    domain: str
    predicted_nll: float
    predicted_nll_low: float
    predicted_nll_high: float
    measured_nll: float
    predicted_interference: float
    predicted_interference_low: float
    predicted_interference_high: float
    measured_interference: float


@dataclass(frozen=True)
class Inside(Held):
    """How many measured values lie in the interval that was predicted for them."""

    inside: int
    of: int


@dataclass(frozen=True)
class InsideOf(Held):
    """The same for losses and for interferences."""

    nll: Inside
    interference: Inside


@dataclass(frozen=True)
class Accuracy(Held):
    """Predicted against measured interference: correlations, and the error in nats.

    Without intervals: the points share adapters and domains, and are not independent.
    """

    n: int
    pearson: float | None
    spearman: float | None
    mean_absolute_error: float
    mean_measured: float


@dataclass(frozen=True)
class SeedAdvice(Held):
    """A seed's advice by its forecast (`landscape.Advice`); a share is None for no gain."""

    seed: int
    verdict: str
    reason: str
    naive: float | None
    tuned: float | None
    weights: Mapping[str, float]


@dataclass(frozen=True)
class TunedWeights(Held):
    """A seed's best task weights for every subset, which is joined by `+`."""

    seed: int
    weights: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ForecastCost(Held):
    """What the forecasts cost: rows and tokens of one seed, seconds of all."""

    rows: int
    tokens: int
    forward_equivalents: float
    seconds: float
    rows_of: Mapping[str, int]


@dataclass(frozen=True)
class ForecastSummary(Held):
    """What the seeds' forecasts said beside what was measured."""

    predictions: tuple[ForecastRow, ...]
    inside: InsideOf
    interference: Accuracy
    advice: tuple[SeedAdvice, ...]
    tuned: tuple[TunedWeights, ...]
    calibration: ForecastCost

    @property
    def told_from(self) -> str:
        """Say which of these sums were measured on the calibration rows, and which foretold."""
        return told_from({len(row.subset) for row in self.predictions})
