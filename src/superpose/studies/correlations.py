"""What the weights tell, against what evaluation shows: the paper's figure, with its controls.

A point is one subset at one seed. Its figures are predictors of interference, averaged over the
subset's pairs; beside them stand the change of perplexity and the interference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from superpose.interference.predictors import (
    COSINE,
    INPUT_OVERLAP,
    NORM_RATIO,
    OUTPUT_OVERLAP,
    RMS_COSINE,
)
from superpose.statistics import Correlation, correlate
from superpose.studies.cells import UNION
from superpose.studies.scores import StudyScores, change_percent
from superpose.studies.summary import FigureCorrelation, SubsetPoint

__all__ = ["FIGURES", "correlations", "points"]

OF_PAIRS = (RMS_COSINE, COSINE, OUTPUT_OVERLAP, INPUT_OVERLAP, NORM_RATIO)
"""The paper's predictor first. Any that reads nothing but figures of a pair may stand here, with a
field of its name in `summary.Point`."""

FIGURES = (*(predictor.name.replace(" ", "_") for predictor in OF_PAIRS), "energy_ratio", "norm")
"""energy_ratio, norm: of the sum as a whole; the norm is a control that knows no angles."""


@dataclass(frozen=True)
class Recorded:
    """Two adapters as `check --json` holds them, the smaller one the own; NaN where it has null."""

    rms_cosine: float
    cosine: float
    output_overlap: float
    input_overlap: float
    norms: tuple[float, float]

    @property
    def pair(self) -> Recorded:
        """Itself, as a predictor reads a case."""
        return self

    @classmethod
    def of(cls, pair: Mapping[str, float | None], *norms: float | None) -> Recorded:
        """Give what a pair's figures and both adapters' norms are a record of."""
        keys = ("rms_cosine", "cosine", "output_overlap", "input_overlap")
        smaller, larger = sorted(map(_known, norms))
        return cls(**{key: _known(pair[key]) for key in keys}, norms=(smaller, larger))


def points(scores: StudyScores, checks: Mapping[int, Any]) -> tuple[SubsetPoint, ...]:
    """One point for each subset and seed. checks: seed -> `check --json` of its adapters."""
    return tuple(
        _point(scores, checks[seed], seed, names)
        for seed in scores.seeds
        for names in scores.subsets
    )


def _point(scores: StudyScores, check: Any, seed: int, names: tuple[str, ...]) -> SubsetPoint:
    score, merged, own = (
        scores.find(method, names, seed, UNION) for method in ("sum", "merged", "single")
    )
    assert score is not None
    assert merged is not None
    assert own is not None
    return SubsetPoint(
        seed=seed,
        domains=names,
        **_figures(check, scores.domains, names),
        dppl_percent=round(change_percent(score, merged), 5),
        interference=round(score.nll - own.nll, 6),
    )


def correlations(found: Sequence[SubsetPoint]) -> tuple[FigureCorrelation, ...]:
    """Each figure against dPPL %: among the pairs, and among subsets of every size.

    Larger sums disturb more whatever the angles are, so the second alone would flatter every
    figure that grows with the size.
    Intervals are bootstrapped over domains and seeds, where there are enough of them; a point
    that lacks a figure (None) is left out for it.
    """
    pairs = [point for point in found if len(point.domains) == 2]
    among = {"pairs": pairs} if len(pairs) == len(found) else {"pairs": pairs, "all": found}
    return tuple(
        FigureCorrelation(figure=figure, among=name, **vars(_against_change(held, figure)))
        for name, held in among.items()
        for figure in FIGURES
    )


def _against_change(found: Sequence[SubsetPoint], figure: str) -> Correlation:
    return correlate(
        [_known(getattr(point, figure)) for point in found],
        [point.dppl_percent for point in found],
        domains=[point.domains for point in found],
        seeds=[point.seed for point in found],
    )


def _figures(
    check: Mapping[str, Any], domains: Sequence[str], names: Sequence[str]
) -> dict[str, float | None]:
    """`check`'s figures for a subset: means over its pairs, and those of the sum."""
    norm = dict(zip(domains, (adapter["norm"] for adapter in check["adapters"]), strict=True))
    of = dict(zip(combinations(domains, 2), check["pairs"], strict=True))
    pairs = {two: pair for two, pair in of.items() if set(two) <= set(names)}
    seen = [Recorded.of(pair, norm[a], norm[b]) for (a, b), pair in pairs.items()]
    figures = {
        key: _mean([predictor.predict(each) for each in seen])
        for key, predictor in zip(FIGURES, OF_PAIRS, strict=False)
    }
    # |sum|^2 = sum of squares + 2 * inner products, from the norms and whole-adapter cosines.
    squares = sum(norm[name] ** 2 for name in names)
    inner = sum((pair["cosine"] or 0.0) * norm[a] * norm[b] for (a, b), pair in pairs.items())
    whole = max(squares + 2 * inner, 0.0)
    figures["energy_ratio"] = round(whole / squares, 8) if squares else None
    figures["norm"] = round(math.sqrt(whole), 6)
    return figures


def _mean(values: Sequence[float]) -> float | None:
    held = [value for value in values if not math.isnan(value)]
    return round(math.fsum(held) / len(held), 8) if held else None


def _known(value: float | None) -> float:
    return math.nan if value is None else value
