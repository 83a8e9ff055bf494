"""RMS cosine as the paper has it: of pairs, beside their dPPL against training on merged data.

From the recorded studies, and from the second run where it has trained on merged data.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.prediction.elsewhere import RESULTS, STUDIES
from benchmarks.prediction.markdown import figure, table
from superpose.statistics import Correlation, chance_correlation, correlate

__all__ = ["Pair", "as_the_paper", "of_run", "of_study"]

INTRO = """\
## RMS cosine as the paper has it

The paper sets the RMS cosine of a pair beside the change of perplexity of its naive sum against one
adapter trained on both data sets, on their union. What that says hangs on the training's budget: as
many epochs as each single adapter had, which are twice the steps, or as many steps. Both stand
here, of the recorded studies{second}. Pairs of three domains prove nothing, whatever their number:
with no relation at all the median |r| of three points is {three:.2f}, and more seeds of one pair
are no new pairs.
"""

FEWEST = 3
"""Combinations of which a correlation is told: two points always lie on a line."""

NOT_YET = """\
The second run's pairs are not among them: `python -m benchmarks.methods beside` trains on their
merged data, and `python -m benchmarks.second judge` then enters them here.
"""


class Pair(NamedTuple):
    """A pair of adapters of one seed: RMS cosine, and dPPL % against merged data of both budgets.

    None: not trained.
    """

    seed: int
    domains: tuple[str, ...]
    cosine: float
    epochs: float | None
    steps: float | None


def of_study(study: str) -> list[Pair]:
    """Read a recorded study's pairs."""
    with (RESULTS / study / "table.csv").open(encoding="utf-8", newline="") as file:
        union = {
            (int(row["seed"]), row["method"], row["subset"]): float(row["nll"])
            for row in csv.DictReader(file)
            if row["domain"] == "union"
        }
    summary = json.loads((RESULTS / study / "summary.json").read_text(encoding="utf-8"))
    found = []
    for point in summary["points"]:
        if len(point["domains"]) == 2:
            seed, subset = point["seed"], "+".join(point["domains"])
            against = [
                _percent(union[seed, "sum", subset], union.get((seed, way, subset)))
                for way in ("merged", "merged_steps")
            ]
            found.append(Pair(seed, tuple(point["domains"]), point["rms_cosine"], *against))
    return found


def of_run(record: Mapping[str, Any]) -> list[Pair]:
    """Read the second run's pairs from its record."""
    return [
        Pair(
            each["seed"],
            tuple(each["domains"]),
            each["rms_cosine"],
            *(each[way] and each[way]["percent"] for way in ("merged-epochs", "merged-steps")),
        )
        for each in record["merged"]
    ]


def as_the_paper(second: Mapping[str, Any] | None) -> Iterator[str]:
    """Give the section of the page. second: the second run's record, where there is one."""
    sets = {f"{called} (`{study}`)": of_study(study) for study, called in STUDIES.items()}
    ours = of_run(second) if second else []
    if ours:
        sets["the second run"] = ours
    yield INTRO.format(second=" and of the second run" if ours else "", three=chance_correlation(3))
    head = ["pairs of", "points", "combinations", "equal epochs: Pearson", "Spearman"]
    rows = [[name, *_related(pairs)] for name, pairs in sets.items()]
    yield from table([*head, "equal steps: Pearson", "Spearman"], rows)
    if not ours:
        yield NOT_YET
    yield from table(
        ["pair", "seed", "RMS cosine", "dPPL %, equal epochs", "equal steps"],
        [
            [
                f"{' + '.join(each.domains)}, {name}",
                str(each.seed),
                f"{each.cosine:.5f}",
                *(_signed(change) for change in (each.epochs, each.steps)),
            ]
            for name, pairs in sets.items()
            for each in pairs
        ],
    )


def _related(pairs: Sequence[Pair]) -> list[str]:
    combinations = len({each.domains for each in pairs})
    said = [str(len(pairs)), str(combinations)]
    if combinations < FEWEST:
        return said + ["too few"] * 4
    for budget in ("epochs", "steps"):
        changes = [getattr(each, budget) for each in pairs]
        known = [math.nan if change is None else change for change in changes]
        found = correlate(
            [each.cosine for each in pairs],
            known,
            domains=[each.domains for each in pairs],
            seeds=[each.seed for each in pairs],
        )
        said += _figures(found)
    return said


def _figures(found: Correlation) -> list[str]:
    return [
        figure(found.pearson, found.pearson_interval),
        figure(found.spearman, found.spearman_interval),
    ]


def _percent(summed: float, merged: float | None) -> float | None:
    return None if merged is None else 100 * math.expm1(summed - merged)


def _signed(percent: float | None) -> str:
    return "" if percent is None else f"{percent:+.1f}"
