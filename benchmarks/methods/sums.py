"""Which sums the methods meet on, and on which rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

from benchmarks.prediction.field import Field
from superpose.data.prompt import Example

__all__ = ["CALIBRATION", "FEWEST_DRAWN", "PASSES", "TEST", "core_sums", "drawn_sums", "first_rows"]

CALIBRATION, TEST = 32, 64
"""Rows a domain, the first ones of the parts that the tournament has."""

PASSES = 4
"""Over the calibration rows, of every method."""

FEWEST_DRAWN = 5
"""Sums below which intervals are over questions alone: so few have only a few resamples."""

SIZES: Mapping[int, int] = {2: 3, 3: 2, 4: 1}
"""Sums of each size, drawn by the seed."""


def drawn_sums(field: Field, seed: int) -> list[tuple[str, ...]]:
    """Give the sums of a seed; of the first one the sum of all domains too."""
    draw = random.Random(f"methods {seed}")
    drawn: list[tuple[str, ...]] = []
    for size, count in SIZES.items():
        every = list(combinations(field.names, size))
        drawn += draw.sample(every, min(count, len(every)))
    whole = [field.names] if seed == field.tournament.seeds[0] else []
    return list(dict.fromkeys([*drawn, *whole]))


def core_sums(field: Field, seed: int) -> list[tuple[str, ...]]:
    """Give the first sum of each size that is drawn: with these a seed is finished."""
    sizes = {len(domains): domains for domains in reversed(drawn_sums(field, seed))}
    return [sizes[size] for size in sorted(sizes)]


def first_rows(field: Field, domains: Sequence[str], part: str) -> dict[str, list[Example]]:
    """Give the first rows of a part, `calibration` or `test`, by domain."""
    count = TEST if part == "test" else CALIBRATION
    return {name: field.examples(name, part)[:count] for name in domains}
