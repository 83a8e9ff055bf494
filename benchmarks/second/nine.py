"""Are intervals honest with nine adapters too? Most of what is asked is extrapolated there.

The second run's six domains with their first rows, beside three more adapters that are partners
alone: nine of one seed. In a folder and a record of their own, since the tournament's have six.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from benchmarks.result import RESULTS
from benchmarks.second.adapters import train_seeds
from benchmarks.second.plan import LARGEST, PARTS, Part
from benchmarks.second.rows import Measurements, kept, part_rows, recorded_rows
from benchmarks.second.settings import SOURCES, nine_field
from superpose.data.prompt import Example
from superpose.landscape.subsets import design_points
from superpose.measure.calibrate import measure
from superpose.model import SuperposedModel

__all__ = [
    "DRAWN",
    "NINE_ROWS",
    "collected_nine",
    "nine_missing",
    "nine_parts",
    "nine_points",
    "recorded_nine",
]

NINE_ROWS = RESULTS / "nine.npz"
"""The row losses of this part of the record."""

DRAWN = 7
"""Triples, quadruples and weightings of all nine that are measured on each domain."""

ROWS = 64
"""Calibration and test rows of a domain: the first of those that the second run has."""


def nine_missing(field: Field, jobs: Jobs = 1) -> None:
    """Train and measure what does not lie in the folder `nine` within the second run's yet."""
    nine = nine_field(field)
    with nine.claimed():
        train_seeds(nine, nine.tournament.seeds, jobs)
        todo = [each for each in nine_parts(nine) if not (nine.folder.path / each.file).exists()]
        work_off(nine, todo, [_work(nine, each) for each in todo], _measurer, jobs)


def nine_parts(nine: Field) -> list[Part]:
    """What is measured: the three parts of each domain of the second run."""
    (seed,) = nine.tournament.seeds
    return [Part(seed, domain, part) for domain in SOURCES for part in PARTS]


def nine_points(nine: Field, part: Part) -> NDArray[np.float64]:
    """Give the task weights of a part, (P, 9).

    On test rows: without adapters, the own one, and of triples and quadruples that hold it and of
    weightings drawn from [0, 1.5]^9 seven each.
    """
    place, count = nine.names.index(part.domain), len(nine.names)
    if part.part == "slopes":
        return np.array(design_points(place, count)[0])
    base, own, whole = np.zeros(count), np.eye(count)[place], np.ones(count)
    if part.part == "evaluated":
        return np.array([base, own, whole])
    draw = random.Random(f"nine/{part.seed}/{part.domain}")
    others = [k for k in range(count) if k != place]
    chosen = [
        [place, *beside]
        for size in (2, 3)
        for beside in sorted(draw.sample(list(combinations(others, size)), DRAWN))
    ]
    drawn = [[draw.uniform(0, LARGEST) for _ in range(count)] for _ in range(DRAWN)]
    return np.array([base, own, *(np.eye(count)[each].sum(axis=0) for each in chosen), *drawn])


def collected_nine(field: Field) -> Measurements | None:
    """Read what is judged: the folder's where it is finished, else what is on record, if anything.

    What the folder holds is put on record.
    """
    nine = nine_field(field)
    parts = nine_parts(nine)
    if all((nine.folder.path / part.file).exists() for part in parts):
        found = {part: part_rows(nine.folder.read(part.file)) for part in parts}
        kept(Measurements(nine.names, found), NINE_ROWS)
    return recorded_nine()


def recorded_nine() -> Measurements | None:
    """Read what is on record, if anything is."""
    return recorded_rows(NINE_ROWS) if NINE_ROWS.exists() else None


@contextmanager
def _measurer(nine: Field) -> Iterator[Callable[[Part], None]]:
    """Give the function that measures one part."""

    def do(part: Part) -> None:
        adapters = [trained(nine, "main", part.seed, name) for name in nine.names]
        started = time.perf_counter()
        sloped = part.part == "slopes"
        points = nine_points(nine, part)
        with SuperposedModel(nine.base.model, adapters) as model:
            sample = measure(model, _rows(nine, part), list(points), gradients=sloped)
        found = {
            "points": points.tolist(),
            "tokens": sample.tokens.tolist(),
            "nll": digits(sample.nll, 7),
            "slopes": digits(sample.gradient.sum(axis=2), 6) if sloped else None,
            "seconds": round(time.perf_counter() - started, 1),
        }
        nine.folder.write(part.file, found)

    yield do


def _rows(nine: Field, part: Part) -> list[Example]:
    kind = "test" if part.part == "test" else "calibration"
    return nine.examples(part.domain, kind)[:ROWS]


def _work(nine: Field, part: Part) -> float:
    passes = len(nine_points(nine, part)) * (2.0 if part.part == "slopes" else 1.0)
    return passes * sum(row.length for row in _rows(nine, part))
