"""What tuned weights and merged data gained in the recorded studies: the same measure elsewhere."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadInput

__all__ = ["STUDIES", "Gained", "elsewhere", "gained"]

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"

STUDIES = {"smollm2": "real questions", "demo-baselines": "the demo"}
"""Studies with sums tuned by `superpose tune`'s own steps, and how they are called."""


@dataclass(frozen=True)
class Gained:
    """A method beside the naive sums of a study, over all seeds and subsets.

    better: how many of so many sums lose less than the naive sum on the mean over their domains.
    gap_closed: the share that is gone of what the naive sums lose against their own adapters.
    """

    better: int
    sums: int
    gap_closed: float


def gained(study: str, method: str) -> Gained:
    """Read a study's table. Raises BadInput where it does not hold the method."""
    with (RESULTS / study / "table.csv").open(encoding="utf-8", newline="") as file:
        nll = {
            (row["seed"], row["method"], row["subset"], row["domain"]): float(row["nll"])
            for row in csv.DictReader(file)
        }
    rows = list(_regrets(nll, method))
    if not rows:
        raise BadInput(f"{study} has no sums of method {method}", where=RESULTS / study)
    naive, left = (math.fsum(each) for each in zip(*rows, strict=True))
    better = sum(mine < theirs for theirs, mine in rows)
    return Gained(better, len(rows), (naive - left) / naive)


def elsewhere(results: str) -> str:
    """Say how far the studies' gaps were closed. results: where their page lies, for the link."""
    parts = []
    for study, called in STUDIES.items():
        tuned, merged = gained(study, "tuned"), gained(study, "merged")
        parts.append(
            f"{called} (`{study}`) {100 * tuned.gap_closed:.0f} %, better than naive "
            f"{tuned.better} of {tuned.sums}, merged data {100 * merged.gap_closed:.0f} %"
        )
    return (
        f"Each row is of other sums. In [the studies]({results}), of two and three adapters, one "
        "weight an adapter as `tune` finds it closes less, and training on merged data, for equal "
        f"epochs, more: {'; '.join(parts)}."
    )


def _regrets(
    nll: dict[tuple[str, str, str, str], float], method: str
) -> Iterator[tuple[float, float]]:
    """What each sum loses against own adapters on the mean of its domains: naive, by the method."""
    for seed, subset in sorted({(s, names) for s, m, names, _ in nll if m == method}):
        names = subset.split("+")
        if len(names) < 2:
            continue
        own = [nll[seed, "single", name, name] for name in names]
        naive, mine = ([nll[seed, way, subset, name] for name in names] for way in ("sum", method))
        yield _above(naive, own), _above(mine, own)


def _above(losses: Sequence[float], own: Sequence[float]) -> float:
    return math.fsum(a - b for a, b in zip(losses, own, strict=True)) / len(own)
