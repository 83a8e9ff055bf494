"""What the README says of the tournament: what foretells best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.markdown import signed, spearman, table

__all__ = ["COMMAND", "best_without_data", "brief", "in_short"]

COMMAND = "python -m benchmarks.prediction"

GROUPS = {"all": "all sums", "pairs": "pairs", "triples": "of three", "quadruples": "of four"}

PLAINLY = {"count": "the number of adapters"}


def brief(record: Mapping[str, Any]) -> str:
    """A table as Markdown, from the record."""
    by_name = {each["name"]: each["groups"] for each in record["predictors"]}
    groups = {name: title for name, title in GROUPS.items() if record["groups"][name]}
    told = {
        "lambda space of nine adapters, fitted as it was then": "lambda space",
        "every pair evaluated on the calibration rows": "pairs evaluated",
        "RMS cosine, for pairs the paper's": "rms cosine",
    }
    rows = [
        [label, *(spearman(by_name[name][group]) for group in groups)]
        for label, name in told.items()
    ]
    free = {group: best_without_data(record, group) for group in groups}
    cells = [f"{spearman(by_name[n][g])} ({PLAINLY.get(n, n)})" for g, n in free.items()]
    rows.insert(2, ["the best without data", *cells])
    group = record["groups"]["all"]
    lines = [
        f"How well each ranks {group['n']} losses in {group['sums']} sums (Spearman's rank "
        "correlation, with 95 % intervals over domains and seeds):\n",
        *table(["predictor", *groups.values()], rows),
        *_leads(record),
    ]
    return "\n".join(lines).strip("\n")


def in_short(record: Mapping[str, Any]) -> Iterator[str]:
    """What the page found, in three points: who ranks how well, by how much, and pairs alone."""
    by_name = {each["name"]: each["groups"] for each in record["predictors"]}
    group = record["groups"]["all"]
    free = best_without_data(record, "all")
    yield "## In short\n"
    yield (
        f"- Spearman's rank correlation of a predictor with {group['n']} losses in {group['sums']} "
        f"sums: lambda space {spearman(by_name['lambda space']['all'])}, every pair evaluated "
        f"{spearman(by_name['pairs evaluated']['all'])}, the best without data "
        f"{spearman(by_name[free]['all'])} ({PLAINLY.get(free, free)}), RMS cosine "
        f"{spearman(by_name['rms cosine']['all'])}."
    )
    yield from (f"- {line.strip()}" for line in _leads(record))
    if record["groups"]["pairs"]:
        free = best_without_data(record, "pairs")
        yield (
            f"- Of pairs alone: lambda space {spearman(by_name['lambda space']['pairs'])}, the "
            f"best without data {spearman(by_name[free]['pairs'])} ({PLAINLY.get(free, free)}), "
            f"RMS cosine {spearman(by_name['rms cosine']['pairs'])}."
        )
    for group in ("triples", "quadruples"):
        if record["groups"][group]:
            yield (
                f"- Within {group}, of pairs and the sum of all: lambda space "
                f"{spearman(by_name['lambda space'][group])}, what pairs cost added up "
                f"{spearman(by_name['pairs evaluated'][group])}."
            )


def _leads(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what over all sums lambda space is ahead by, with intervals."""
    leads = (record["promised"] or {"leads": {}})["leads"]
    rivals = {
        "pairs evaluated": "pairs evaluated",
        best_without_data(record, "all"): "the best without data",
    }
    said = [
        f"of {called} by {leads[name]['value']:+.2f} {signed(leads[name]['interval'])}"
        for name, called in rivals.items()
        if name in leads
    ]
    if said:
        yield f"Over all sums lambda space is ahead {' and '.join(said)}.\n"


def best_without_data(record: Mapping[str, Any], group: str) -> str:
    """Name the predictor with the largest Spearman of those that need no data."""
    free = {
        each["name"]: abs(each["groups"][group]["spearman"] or 0.0)
        for each in record["predictors"]
        if not each["needs"] and each["groups"][group]
    }
    return str(max(free, key=lambda name: free[name]))
