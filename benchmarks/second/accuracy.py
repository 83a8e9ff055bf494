"""Right answers: foretold question by question, evaluated on calibration rows, on test rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.second.figures import whole_sums
from benchmarks.second.plan import Part
from benchmarks.second.rows import Array, Measurements, PartRows, finished
from superpose.landscape.choice_sample import margins
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample
from superpose.statistics import correlate

__all__ = ["BOUNDS", "Answers", "answers", "right_answers"]

BOUNDS = {"spearman": 0.8, "points": 5.0}
"""Registered for sums of three and four: at least, and at most in points of accuracy."""

SIZES = (3, 4)
WAYS = ("foretold", "evaluated", "own")
"""From a polynomial of each question's margin; the very sum on the calibration rows; what the own
adapter alone reaches there, which knows nothing of the sum."""


class Answers(NamedTuple):
    """Shares of right answers of a sum on a domain: measured on test rows, and three guesses."""

    seed: int
    sum: str
    domain: str
    measured: float
    foretold: float
    evaluated: float
    own: float


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
    seeds, names = finished(found)
    for seed in seeds:
        for place, domain in enumerate(names):
            part = {p: found[Part(seed, domain, p)] for p in ("slopes", "evaluated", "test")}
            if part["test"].right.size:
                yield from _of_domain(part, seed, place, names)


def _of_domain(
    part: Mapping[str, PartRows], seed: int, place: int, names: list[str]
) -> Iterator[Answers]:
    test, values = part["test"], part["evaluated"]
    foretold = _polynomial(part["slopes"], values)
    alone = np.eye(len(names))[place]
    own = _accuracy(values, alone)
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
            )


def _accuracy(rows: PartRows, point: Array) -> float:
    margin = margins(_known(rows.choices[rows.at(point)]), rows.right)
    return float((margin > 0).mean())


def _polynomial(slopes: PartRows, values: PartRows) -> Callable[[Array], float]:
    """Give the function from task weights to the share of the first questions answered right.

    One polynomial a question, of the form that losses have, through its margin at base and design
    points and its slopes there.
    """
    count = slopes.margin_slopes.shape[1]
    base = values.at(np.zeros(values.points.shape[1]))
    right = values.right[:count]
    margin = np.vstack(
        [
            margins(_known(slopes.choices[:, :count]), right),
            margins(_known(values.choices[base, :count]), right),
        ]
    )
    nothing = np.full((1, *slopes.margin_slopes.shape[1:]), np.nan)
    sample = Sample(
        np.vstack([slopes.points, values.points[base]]),
        margin,
        np.concatenate([slopes.margin_slopes, nothing])[:, :, None],
        np.ones(count, dtype=np.int64),
        ("all",),
    )
    fitted = Polynomial.fit(sample)

    def share(point: Array) -> float:
        each = fitted.row_coefficients @ fitted.basis.features(point[None])[0]
        return float((each > 0).mean())

    return share


def _known(nll: Array) -> NDArray[np.float64]:
    return np.where(np.isnan(nll), np.inf, nll)


def _short(x: float) -> float:
    return float(f"{x:.5g}")
