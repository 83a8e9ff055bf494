"""Which sums are measured, and on which domains: the points of the tournament.

A point is named by what defines it, and its measurement lies in a file of that name.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from benchmarks.prediction.settings import Tournament

__all__ = ["Point", "points"]


@dataclass(frozen=True)
class Point:
    """The sum of the adapters of `domains`, measured on the test rows of each of them.

    condition: `main`; `same-a`, adapters that started from the same A; `calibration`, adapters
    trained on calibration rows; `random`, on each domain its own adapter and, for every other
    one, random factors of the same norms. `base` has no adapter at all. A single domain gives the
    loss with that domain's own adapter. seed: of the trainings.
    """

    condition: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `measured main, seed 0: finance+math`."""
        return f"measured {self.condition}, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where its measurement lies within the tournament's folder."""
        return f"cells/{self.condition}/seed-{self.seed}/{'+'.join(self.domains)}.json"


def points(names: Sequence[str], tournament: Tournament) -> list[Point]:
    """All points, in the order in which they are measured: the main ones before the controls."""
    first = tournament.seeds[0]
    singles = [(name,) for name in names]
    pairs = list(combinations(names, 2))
    found = [Point("base", first, tuple(names))]
    for seed in tournament.seeds:
        subsets = [*singles, *pairs, *_sampled(names, tournament, seed)]
        found += [Point("main", seed, subset) for subset in subsets]
    found += [Point("same-a", first, subset) for subset in [*singles, *pairs]]
    # Random partners stand beside the main adapters, whose own losses are known by then.
    found += [Point("random", first, subset) for subset in pairs]
    found += [Point("calibration", first, subset) for subset in [*singles, *pairs]]
    return found


def _sampled(names: Sequence[str], tournament: Tournament, seed: int) -> list[tuple[str, ...]]:
    """Triples, then quadruples; every seed draws its own, so that more of them are covered."""
    drawn: list[tuple[str, ...]] = []
    for size, count in ((3, tournament.triples), (4, tournament.quadruples)):
        several = list(combinations(names, size))
        draw = random.Random(f"{tournament.split_seed}/{seed}/{size}")
        drawn += sorted(draw.sample(several, min(count, len(several))), key=several.index)
    return drawn
