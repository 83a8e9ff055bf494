"""The cells of a study: what is trained and what is evaluated, and under which name and seed.

A cell is named by what defines it, so a study that was killed finds what it has finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

__all__ = ["Cell", "cell_seed", "cells_of_seed", "subsets"]


@dataclass(frozen=True)
class Cell:
    """One model of the study: a method, the domains it is made from, and a seed.

    method: `base`, the bare base model; `single`, a domain's own adapter; `sum`, the naive sum of
    a subset's adapters (every task weight 1); `merged`, merged-data fine-tuning on a subset's
    domains. seed: None for the base model, which no seed can change.
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
        return self.method in {"single", "merged"}

    @property
    def adapter(self) -> str:
        """Where its adapter lies within the study's folder."""
        return f"adapters/seed-{self.seed}/{self.name}"

    @property
    def file(self) -> str:
        """Where its evaluation lies within the study's folder."""
        return f"cells/{self.name if self.seed is None else f'seed-{self.seed}/{self.name}'}.json"

    @property
    def weights(self) -> dict[str, float]:
        """Task weights of the superposition that it is; a merged-data adapter is one by itself."""
        return {} if self.method == "merged" else dict.fromkeys(self.domains, 1.0)


def cell_seed(seed: int, name: str) -> int:
    """A training's own seed, from the study's seed and the cell's name.

    Adapters that start from the same A look alike on the input side whatever they learn, so
    no two cells of a study share one.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4]) >> 1


def subsets(domains: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of two or more domains, small ones first, in the study's order."""
    return [s for size in range(2, len(domains) + 1) for s in combinations(domains, size)]


def cells_of_seed(domains: Sequence[str], seed: int) -> list[Cell]:
    """A seed's cells, in the order in which they can be worked off."""
    several = subsets(domains)
    return [
        *(Cell("single", (domain,), seed) for domain in domains),
        *(Cell("sum", names, seed) for names in several),
        *(Cell("merged", names, seed) for names in several),
    ]
