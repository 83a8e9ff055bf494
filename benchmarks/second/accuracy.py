"""Right answers: foretold question by question, evaluated on calibration rows, on test rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.second.figures import whole_sums
from benchmarks.second.plan import Part
from benchmarks.second.rows import Array, Measurements, PartRows
from superpose.data.domain import Row
from superpose.landscape.choice_sample import ChoiceSample, margins
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.right_answers import RightAnswers
from superpose.landscape.sample import Sample
from superpose.statistics import correlate

__all__ = ["BOUNDS", "FORETOLD", "Answers", "answers", "right_answers"]

BOUNDS = {"spearman": 0.8, "points": 5.0}
"""Registered for sums of three and four: at least, and at most in points of accuracy."""

SIZES = (3, 4)
WAYS = ("predicted", "foretold", "anchored", "evaluated", "same", "own")
"""As `predict` tells it; from a polynomial of each question's margin; what the own adapter reaches
on all calibration rows and the change that `predict` foretells of some; the very sum on the
calibration rows, and on those of them alone that forecasts see; what the own adapter alone reaches
on all of them, which knows nothing of the sum."""


FORETOLD = ("predicted", "foretold")
"""The ways that foretell. Which of both counts was not registered."""


class Answers(NamedTuple):
    """Shares of right answers of a sum on a domain: measured on test rows, and six guesses."""

    seed: int
    sum: str
    domain: str
    measured: float
    foretold: float
    evaluated: float
    own: float
    predicted: float
    same: float
    anchored: float


def right_answers(found: Measurements) -> dict[str, Any] | None:
    """Give how well each way tells test accuracy; None where no domain has choices."""
    told = list(answers(found))
    if not told:
        return None
    measured = np.array([each.measured for each in told])
    ways: dict[str, Any] = {}
    for way in WAYS:
        figures = np.array([getattr(each, way) for each in told])
        relation = correlate(
            figures,
            measured,
            domains=[each.sum.split("+") for each in told],
            seeds=[each.seed for each in told],
        )
        interval = relation.spearman_interval
        ways[way] = {
            "spearman": None if relation.spearman is None else _short(relation.spearman),
            "spearman_interval": interval and [_short(end) for end in interval],
            "points": _short(100 * float(np.abs(figures - measured).mean())),
            "bias": _short(100 * float((figures - measured).mean())),
        }
    return {
        "n": len(told),
        "ways": ways,
        "told": [[_short(x) if isinstance(x, float) else x for x in each] for each in told],
    }


def answers(found: Measurements) -> Iterator[Answers]:
    """Give every sum of three and four on every one of its domains that has choices."""
    names = list(found.adapters)
    for seed in found.seeds:
        for domain in found.domains:
            part = {p: found[Part(seed, domain, p)] for p in ("slopes", "evaluated", "test")}
            if part["test"].right.size:
                yield from _of_domain(part, seed, names.index(domain), names)


def _of_domain(
    part: Mapping[str, PartRows], seed: int, place: int, names: list[str]
) -> Iterator[Answers]:
    test, values = part["test"], part["evaluated"]
    sample = _choice_sample(part["slopes"], values)
    foretold = _polynomial(sample)
    # The questions' texts are not read.
    asked = tuple(Row(f"question {q}", "") for q in range(len(sample.right)))
    predicted = RightAnswers(tuple(names), names[place], place, asked, sample)
    alone = np.eye(len(names))[place]
    own = _accuracy(values, alone)
    own_there = predicted.accuracy(alone).accuracy
    for at in whole_sums(test.points, place):
        point = test.points[at]
        if int(point.sum()) in SIZES:
            members = "+".join(n for n, w in zip(names, point, strict=True) if w)
            yield Answers(
                seed,
                members,
                names[place],
                _accuracy(test, point),
                foretold(point),
                _accuracy(values, point),
                own,
                told := predicted.accuracy(point).accuracy,
                _accuracy(values, point, len(sample.right)),
                own + told - own_there,
            )


def _accuracy(rows: PartRows, point: Array, first: int | None = None) -> float:
    """Give the share that is answered right, of all rows or of so many first ones."""
    margin = margins(_known(rows.choices[rows.at(point), :first]), rows.right[:first])
    return float((margin > 0).mean())


def _choice_sample(slopes: PartRows, values: PartRows) -> ChoiceSample:
    """Give the first questions' choices at the design points, with slopes, and at the base."""
    count = slopes.margin_slopes.shape[1]
    base = values.at(np.zeros(values.points.shape[1]))
    wide = max(slopes.choices.shape[-1], values.choices.shape[-1])
    nll = np.concatenate(
        [_wider(slopes.choices[:, :count], wide), _wider(values.choices[[base], :count], wide)]
    )
    nothing = np.full((1, *slopes.margin_slopes.shape[1:]), np.nan)
    return ChoiceSample(
        np.vstack([slopes.points, values.points[base]]),
        _known(nll),
        np.concatenate([slopes.margin_slopes, nothing]),
        values.right[:count],
        np.isfinite(nll[0]).astype(np.int64),
    )


def _wider(nll: Array, wide: int) -> Array:
    """Give (P, Q, C) nats with so many columns, NaN in those that are new."""
    return np.pad(nll, ((0, 0), (0, 0), (0, wide - nll.shape[-1])), constant_values=np.nan)


def _polynomial(found: ChoiceSample) -> Callable[[Array], float]:
    """Give the function from task weights to the share of questions answered right.

    One polynomial a question, of the form that losses have, through its margins and their slopes.
    """
    ones = np.ones(len(found.right), dtype=np.int64)
    sample = Sample(found.points, found.margin, found.slope[:, :, None], ones, ("all",))
    fitted = Polynomial.fit(sample)

    def share(point: Array) -> float:
        each = fitted.row_coefficients @ fitted.basis.features(point[None])[0]
        return float((each > 0).mean())

    return share


def _known(nll: Array) -> NDArray[np.float64]:
    return np.where(np.isnan(nll), np.inf, nll)


def _short(x: float) -> float:
    return float(f"{x:.5g}")
