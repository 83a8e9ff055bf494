"""What the README says of the tournament: what foretells best, and what tuned weights gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.prediction.markdown import percent, spearman, table

__all__ = ["COMMAND", "METHODS", "best_without_data", "brief"]

COMMAND = "python -m benchmarks.prediction"

METHODS = {
    "average": "average, 1/K",
    "tuned": "one weight an adapter",
    "by-layer": "one an adapter and layer",
    "by-module": "one an adapter and module",
}

GROUPS = ("all", "pairs")

PLAINLY = {"count": "the number of adapters"}


def brief(record: Mapping[str, Any]) -> str:
    """Two tables as Markdown, from the record."""
    by_name = {each["name"]: each["groups"] for each in record["predictors"]}
    told = {
        "lambda space, as `superpose predict` fits it": "lambda space",
        "every pair evaluated on the calibration rows": "pairs evaluated",
        "RMS cosine, the paper's": "rms cosine",
    }
    rows = [
        [label, *(spearman(by_name[name][group]) for group in GROUPS)]
        for label, name in told.items()
    ]
    free = {group: best_without_data(record, group) for group in GROUPS}
    cells = [f"{spearman(by_name[n][g])} ({PLAINLY.get(n, n)})" for g, n in free.items()]
    rows.insert(2, ["the best without data", *cells])
    group = record["groups"]["all"]
    lines = [
        f"How well each ranks {group['n']} losses in {group['sums']} sums (Spearman's rank "
        "correlation, with 95 % intervals over domains and seeds):\n",
        *table(["predictor", "all sums", "pairs alone"], rows),
    ]
    tuned = {name: each for name, each in record["weights"].items() if name != "average"}
    if tuned:
        rows = [
            [METHODS[name], str(each["sums"])]
            + [percent(each[key]) for key in ("better_than_naive", "gap_closed")]
            for name, each in tuned.items()
        ]
        head = ["tuned weights", "sums", "better than naive", "of naive's gap closed"]
        lines += [
            "What tuned weights gain on test rows; the gap is what domains lose against their own "
            "adapters:\n",
            *table(head, rows),
        ]
    return "\n".join(lines).strip("\n")


def best_without_data(record: Mapping[str, Any], group: str) -> str:
    """Name the predictor with the largest Spearman of those that need no data."""
    free = {
        each["name"]: abs(each["groups"][group]["spearman"] or 0.0)
        for each in record["predictors"]
        if not each["needs"] and each["groups"][group]
    }
    return max(free, key=lambda name: free[name])
