"""Which task weights are measured on a domain, on which of its rows, and how."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.field import Field
from benchmarks.prediction.points import points
from superpose.landscape.subsets import design_points
from superpose.studies.cells import cell_seed

__all__ = [
    "LARGEST",
    "MATCHED",
    "NORM_MATCHED",
    "PARTS",
    "Part",
    "choice_point",
    "four",
    "parts",
    "sums",
    "weightings",
]

PARTS = ("slopes", "evaluated", "test")
"""The sums on test rows; on calibration rows; and what lambda space is calibrated with."""

MATCHED = "matched"
"""Own adapter and pairs on test rows, every adapter scaled to one norm."""

NORM_MATCHED = "norm-matched"
"""The condition of these points."""

LARGEST = 1.5
"""Up to which task weights are drawn."""

RANDOM = 2
"""Weightings drawn of all adapters, and as many of four."""


@dataclass(frozen=True)
class Part:
    """One part of one domain's measurements with the adapters of a seed."""

    seed: int
    domain: str
    part: str

    @property
    def name(self) -> str:
        """Such as `test, seed 0: music`."""
        return f"{self.part}, seed {self.seed}: {self.domain}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"{self.part}/seed-{self.seed}/{self.domain}.json"


def parts(field: Field) -> list[Part]:
    """All of them, seed by seed."""
    return [
        Part(seed, domain, part)
        for seed in field.tournament.seeds
        for domain in field.names
        for part in PARTS
    ]


def sums(field: Field, seed: int) -> list[tuple[str, ...]]:
    """Every sum of a seed: pairs, triples, quadruples, all; members in the field's order."""
    drawn = [
        point.domains
        for point in points(field.names, field.tournament)
        if (point.condition, point.seed) == ("main", seed) and len(point.domains) > 1
    ]
    return [*drawn, tuple(field.names)]


def four(field: Field, seed: int, domain: str) -> tuple[str, ...]:
    """The quadruple whose random weightings are measured on a domain: the first that holds it.

    Where none was drawn, the first in order.
    """
    drawn = [each for each in sums(field, seed) if len(each) == 4 and domain in each]
    every = [each for each in combinations(field.names, 4) if domain in each]
    return (drawn or every)[0]


def weightings(field: Field, part: Part) -> NDArray[np.float64]:
    """Give the task weights of a part, (P, K)."""
    place = field.names.index(part.domain)
    if part.part == "slopes":
        return np.array(design_points(place, len(field.names))[0])
    base, own = np.zeros(len(field.names)), np.eye(len(field.names))[place]
    held = [_of(field, each) for each in sums(field, part.seed) if part.domain in each]
    if part.part == "test":
        return np.array([base, own, *held, *_random(field, part)])
    # A pair's loss is measured with its slopes.
    more = {tuple(_of(field, four(field, part.seed, part.domain)))}
    more |= {tuple(each) for each in held if each.sum() > 2}
    return np.array([base, own, *sorted(more)])


def choice_point(point: NDArray[np.float64]) -> bool:
    """Whether all choices are measured there: base, own adapter, sums of three and of four."""
    return bool(np.isin(point, (0, 1)).all()) and int(point.sum()) in (0, 1, 3, 4)


def _random(field: Field, part: Part) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(cell_seed(part.seed, f"random {part.domain}"))
    inside = _of(field, four(field, part.seed, part.domain))
    drawn = [rng.uniform(0, LARGEST, len(field.names)) for _ in range(2 * RANDOM)]
    return [*drawn[:RANDOM], *(each * inside for each in drawn[RANDOM:])]


def _of(field: Field, domains: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([float(name in domains) for name in field.names])
