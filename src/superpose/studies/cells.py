"""The cells of a study: what is trained and what is evaluated, and under which name and seed.

A cell is named by what defines it, so a study that was killed finds what it has finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from superpose.compose import FROM_DATA, METHODS

__all__ = [
    "BASELINES",
    "MERGED_BY",
    "SUMS",
    "TITLES",
    "UNION",
    "WEIGHTED",
    "StudyCell",
    "cell_seed",
    "cells_of_seed",
    "chosen_subsets",
    "domain_subsets",
]

BASELINES = {"epochs": "merged", "steps": "merged_steps", "rank": "merged_rank"}
"""The study file's word for a merged-data baseline -> its method."""

SUMS = ("sum", "average", "tuned")
"""Methods that are a sum of a subset's adapters, of whatever weights."""

WEIGHTED = ("single", *SUMS)
"""Methods whose model is the superposed model at some task weights."""

MERGED_BY = tuple(
    name for name in (*METHODS, *FROM_DATA) if name not in (*SUMS, "best rank", "on base")
)
"""Merge methods that a study's `methods` may name: each at its own settings, at scale 1."""

TITLES = {
    "base": "base",
    "single": "own adapter",
    "sum": "naive",
    "average": "average",
    "tuned": "tuned",
    **{name: name for name in MERGED_BY},
    "merged": "merged data",
    "merged_steps": "merged data, equal steps",
    "merged_rank": "merged data, rank K·r",
}
"""The methods in the order and the words of every table."""

UNION = "union"
"""The domain name of a subset's test sets taken together."""


@dataclass(frozen=True)
class StudyCell:
    """One model of the study: a method, the domains it is made from, and a seed.

    method: `base`, the bare base model; `single`, a domain's own adapter; `sum`, the naive sum of
    a subset's adapters (every task weight 1); `average`, the same with task weights 1 / |S|;
    `tuned`, with those that the forecast finds best for the subset. A name of MERGED_BY: what that
    merge method makes of the subset's adapters. `merged`, merged-data
    fine-tuning on a subset's domains, as many epochs as a single adapter had; `merged_steps`, as
    many optimiser steps; `merged_rank`, as many epochs at the rank of the exact sum. seed: None for
    the base model, which no seed can change.
    """

    method: str
    domains: tuple[str, ...]
    seed: int | None

    @property
    def name(self) -> str:
        """Such as `merged-finance+math`."""
        return "-".join(filter(None, [self.method, "+".join(self.domains)]))

    @property
    def label(self) -> str:
        """Name and seed, for people."""
        return self.name if self.seed is None else f"{self.name} (seed {self.seed})"

    @property
    def trained(self) -> bool:
        """Whether an adapter has to be trained for it."""
        return self.method == "single" or self.method in BASELINES.values()

    @property
    def adapter(self) -> str:
        """Where its adapter lies within the study's folder."""
        return f"adapters/seed-{self.seed}/{self.name}"

    @property
    def file(self) -> str:
        """Where its evaluation lies within the study's folder."""
        return f"cells/{self.name if self.seed is None else f'seed-{self.seed}/{self.name}'}.json"


def cell_seed(seed: int, name: str) -> int:
    """A training's own seed, from the study's seed and the cell's name.

    Adapters that start from the same A look alike on the input side whatever they learn, so
    no two cells of a study share one.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4]) >> 1


def domain_subsets(domains: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of two or more domains, small ones first, in the study's order."""
    return [s for size in range(2, len(domains) + 1) for s in combinations(domains, size)]


def chosen_subsets(
    domains: Sequence[str], wanted: str | Sequence[int | Sequence[str]]
) -> list[tuple[str, ...]]:
    """Give subsets as a study file asks for them, in the order of `domain_subsets`.

    wanted: `all`, `pairs`, or sizes and subsets by name. All domains together are always among
    them: what the study says of a sum of all is said of these.
    """
    if wanted == "all":
        return domain_subsets(domains)
    place = {domain: n for n, domain in enumerate(domains)}
    found = {tuple(domains)}
    for each in (2,) if isinstance(wanted, str) else wanted:
        if isinstance(each, int):
            found.update(combinations(domains, each))
        else:
            found.add(tuple(sorted(each, key=place.__getitem__)))
    return sorted(found, key=lambda names: (len(names), [place[name] for name in names]))


def cells_of_seed(
    domains: Sequence[str],
    seed: int,
    *,
    subsets: Sequence[tuple[str, ...]] | None = None,
    merged: Sequence[str] = ("epochs",),
    tuned: bool = False,
    methods: Sequence[str] = (),
) -> list[StudyCell]:
    """A seed's cells, in the order in which they can be worked off.

    subsets: what is added, and trained on together; None for all. merged: keys of BASELINES. tuned:
    whether there is a forecast to tune task weights on. methods: of MERGED_BY.
    """
    sums = SUMS if tuned else SUMS[:2]
    subsets = domain_subsets(domains) if subsets is None else subsets
    wanted = [*sums, *methods, *(BASELINES[each] for each in merged)]
    return [
        *(StudyCell("single", (domain,), seed) for domain in domains),
        *(StudyCell(method, names, seed) for method in wanted for names in subsets),
    ]
