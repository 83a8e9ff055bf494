"""A study's finished scores, and how one method is found beside another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from superpose.errors import BadInput
from superpose.measure.evaluate import Score
from superpose.studies.cells import UNION, StudyCell
from superpose.studies.folder import StudyFolder

__all__ = ["StudyScores", "change_percent"]


@dataclass(frozen=True)
class StudyScores:
    """Scores of all cells of the finished seeds.

    cells: cell -> domain -> score. weights: cell -> task weights of the superposition that it is.
    """

    cells: Mapping[StudyCell, Mapping[str, Score]]
    weights: Mapping[StudyCell, Mapping[str, float]]
    domains: tuple[str, ...]
    seeds: tuple[int, ...]

    @classmethod
    def read(cls, folder: StudyFolder, cells: Sequence[StudyCell]) -> StudyScores:
        """Read every seed all of whose cells are evaluated. Raises BadInput for none."""
        every = dict.fromkeys(name for cell in cells for name in cell.domains)
        done = {cell for cell in cells if folder.is_evaluated(cell, every)}
        wanted = dict.fromkeys(cell.seed for cell in cells if cell.seed is not None)
        seeds = [s for s in wanted if all(c in done for c in cells if c.seed in (None, s))]
        if not seeds:
            raise BadInput("no seed of this study is finished", where=folder.path)
        counted = [cell for cell in cells if cell.seed is None or cell.seed in seeds]
        domains = dict.fromkeys(name for cell in counted for name in cell.domains)
        scores = {cell: folder.read_scores(cell) for cell in counted}
        weights = {cell: folder.read_weights(cell) for cell in counted}
        return cls(scores, weights, tuple(domains), tuple(seeds))

    @property
    def methods(self) -> tuple[str, ...]:
        """What was made of every subset, in the order of the cells."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells if len(cell.domains) > 1))

    @property
    def subsets(self) -> list[tuple[str, ...]]:
        """What was added, small ones first, in the study's order."""
        return list(dict.fromkeys(c.domains for c in self.cells if c.method == "sum"))

    def find(
        self, method: str, subset: Sequence[str], seed: int | None, domain: str
    ) -> Score | None:
        """The score on `domain`, or on UNION of the subset's, of a method for a subset.

        method `single` stands for each domain under its own adapter: there is none for a
        domain outside the subset.
        """
        if domain == UNION:
            parts = [self.find(method, subset, seed, name) for name in subset]
            return Score.union(part for part in parts if part is not None)
        if method == "base":
            return self.cells[StudyCell("base", (), None)][domain]
        if method == "single":
            own = StudyCell("single", (domain,), seed)
            return self.cells[own][domain] if domain in subset else None
        return self.cells[StudyCell(method, tuple(subset), seed)][domain]

    def each(self, method: str, subset: Sequence[str], domain: str) -> list[Score]:
        """`find` for every seed."""
        found = [self.find(method, subset, seed, domain) for seed in self.seeds]
        return [score for score in found if score is not None]


def change_percent(score: Score, against: Score) -> float:
    """DPPL % = 100 (PPL / PPL_against - 1) (DESIGN, formula 8)."""
    return 100.0 * math.expm1(score.nll - against.nll)
