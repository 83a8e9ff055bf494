"""What the weights tell, and how it goes with what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.statistics import Correlation
from superpose.studies.summary.measured import Held, Names

__all__ = ["FigureCorrelation", "SubsetPoint"]


@dataclass(frozen=True)
class SubsetPoint(Held):
    """One subset at one seed: what the weights tell, and what its naive sum did.

    A figure that does not exist is None.
    """

    seed: int
    domains: Names
    rms_cosine: float | None
    cosine: float | None
    output_overlap: float | None
    input_overlap: float | None
    norm_ratio: float | None
    energy_ratio: float | None
    norm: float | None
    dppl_percent: float
    interference: float


@dataclass(frozen=True, kw_only=True)
class _OfFigure(Held):
    figure: str
    among: str = "all"


@dataclass(frozen=True)
class FigureCorrelation(Correlation, _OfFigure):
    """A figure of the weights against dPPL.

    among: `pairs`, or `all` for subsets of every size, as in summaries that do not say it.
    """
