"""Two ways on the same sums and questions: how far apart they are, and how well that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmarks.methods.rows import Array, Cell, Measurements
from superpose.statistics.paired import PairedDifference

__all__ = ["compared", "figure", "sums_of"]


def sums_of(found: Measurements, condition: str = "main") -> list[Cell]:
    """Give the sums of a condition, as the cells of the method `sum`."""
    return [cell for cell in found if (cell.condition, cell.way) == (condition, "sum")]


def figure(found: Measurements, cell: Cell) -> float:
    """Give the mean over the members of nats an answer token."""
    return float(np.mean([rows.loss for rows in found[cell].values()]))


def compared(found: Measurements, way: str, other: str, sums: Sequence[Cell]) -> PairedDifference:
    """Give the mean over sums of the difference of two ways' figures.

    The difference is linear in the rows' losses, so each question has one share in it, whatever
    the number of sums, methods' adapters and seeds that it was asked under: the variance is that
    over the questions of each domain (a ratio's, linearised: Cochran, Sampling Techniques (1977),
    section 6.3), and that over the seeds' means where there are several, added up (Owen, The
    pigeonhole bootstrap, 2007: that errs on the side of too much).
    """
    shares: dict[str, list[Array]] = defaultdict(list)
    by_seed: dict[int, list[float]] = defaultdict(list)
    for cell in sums:
        mine, theirs = found[cell._replace(way=way)], found[cell._replace(way=other)]
        by_seed[cell.seed].append(0.0)
        for domain, rows in mine.items():
            excess = rows.nll - theirs[domain].nll
            ratio = excess.sum() / rows.tokens.sum()
            scale = 1 / (len(mine) * len(sums) * rows.tokens.sum())
            shares[domain].append((excess - ratio * rows.tokens) * scale)
            by_seed[cell.seed][-1] += ratio / len(mine)
    variance = sum(_of_questions(np.sum(each, axis=0)) for each in shares.values())
    means = np.array([np.mean(each) for each in by_seed.values()])
    if len(means) > 1:
        variance += means.var(ddof=1) / len(means)
    every = [value for each in by_seed.values() for value in each]
    return PairedDifference(float(np.mean(every)), float(np.sqrt(variance)))


def _of_questions(shares: Array) -> float:
    count = len(shares)
    return float(count * shares.var(ddof=1)) if count > 1 else float("inf")
