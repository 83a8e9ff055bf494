"""What is asked of regmean: ways that differ from the reference in one thing, and on which sums."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from benchmarks.methods.sums import CALIBRATION
from benchmarks.prediction.field import Field

__all__ = ["CONDITION", "REFERENCE", "WAYS_OF_INPUTS", "InputsOn", "InputsWay", "inputs_on"]

CONDITION = "inputs"
"""What these cells are of, beside the arena's `main` and `same-a`."""

REFERENCE = "regmean"

TRIPLES = 3

Inputs: TypeAlias = Literal["base", "own", "questions", "training", "carried"]


@dataclass(frozen=True)
class InputsWay:
    """One way. inputs: of the base, on which rows, or under the own adapter; none of a reference.

    rows: a domain. of: whose domain's statistics an adapter has, its `own`, the `next` member's or
    that of one `outside` the sum. directions: of a sketch. by: of what there is a weight on top,
    fitted within so many passes. six: the sum of all is asked too.
    """

    inputs: Inputs | None = "base"
    rows: int = CALIBRATION
    method: Literal["regmean", "ssr"] = "regmean"
    ridge: float = 1e-3
    of: Literal["own", "next", "outside"] = "own"
    directions: int | None = None
    by: Literal["adapter", "module"] | None = None
    passes: int = 0
    six: bool = False


WAYS_OF_INPUTS: Mapping[str, InputsWay] = {
    "own": InputsWay(None, six=True),
    "sum": InputsWay(None, six=True),
    REFERENCE: InputsWay(six=True),
    "sketch-64": InputsWay(directions=64, six=True),
    "by-module": InputsWay(by="module", passes=8),
    "ssr": InputsWay(method="ssr", six=True),
    "sketch-48": InputsWay(directions=48),
    "sketch-16": InputsWay(directions=16, six=True),
    "swapped": InputsWay(of="next"),
    "elsewhere": InputsWay(of="outside"),
    "ridge-1e-4": InputsWay(ridge=1e-4),
    "ridge-1e-2": InputsWay(ridge=1e-2),
    "ridge-1e-1": InputsWay(ridge=1e-1),
    "by-adapter": InputsWay(by="adapter", passes=4),
    "questions": InputsWay("questions", six=True),
    "own-inputs": InputsWay("own", six=True),
    "carried": InputsWay("carried", six=True),
    "training": InputsWay("training"),
    "rows-4": InputsWay(rows=4),
    "rows-8": InputsWay(rows=8),
    "rows-16": InputsWay(rows=16),
    "rows-64": InputsWay(rows=64),
    "rows-128": InputsWay(rows=128),
}
"""In the order in which they are done: inputs are measured once for neighbours that share them."""


@dataclass(frozen=True)
class InputsOn:
    """One way on the sum of `domains`."""

    way: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `sketch-16 of inputs, seed 0: music+world`."""
        return f"{self.way} of inputs, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"inputs/{self.way}/seed-{self.seed}/{'+'.join(self.domains)}.json"


def inputs_on(field: Field) -> list[InputsOn]:
    """Give every way on one triple a seed, a triple after the other; then the sum of all."""
    triples = list(combinations(field.names, 3))
    seeds = field.tournament.seeds
    count = min(TRIPLES, len(seeds), len(triples))
    drawn = random.Random("inputs").sample(triples, count)
    sums = list(zip(seeds, drawn, strict=False))
    found = [InputsOn(way, *each) for each in sums for way in WAYS_OF_INPUTS]
    found += [
        InputsOn(name, seeds[0], field.names) for name, way in WAYS_OF_INPUTS.items() if way.six
    ]
    return [each for each in dict.fromkeys(found) if _can(each, field)]


def _can(each: InputsOn, field: Field) -> bool:
    """Whether there are domains outside the sum, where they are asked for."""
    return WAYS_OF_INPUTS[each.way].of != "outside" or len(each.domains) < len(field.names)
