"""The table of a study: subsets and domains down, methods across."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.page import Section
from superpose.report.tables import Column, DataTable, Difference, Entry, difference, text_entry
from superpose.report.texts import figure

__all__ = ["METHODS", "figures_of", "intervals_of", "table_section"]

METHODS = {
    "base": "base",
    "single": "own adapter",
    "sum": "naive",
    "average": "average",
    "tuned": "tuned",
    "merged": "merged data",
    "merged_steps": "merged data, equal steps",
    "merged_rank": "merged data, rank K·r",
}
"""A study's methods in the order and the words of the table."""

REFERENCES = {"single": "own adapter", "merged": "merged data", "base": "the base"}

Values = Mapping[str, Sequence[float]]


def table_section(summary: Mapping[str, Any]) -> Section:
    """Give the section for a study's summary."""
    found = figures_of(summary)
    methods = [m for m in METHODS if any(m in values for values in found.values())]
    intervals = intervals_of(summary)
    rows = [
        [
            text_entry("\u00a0+ ".join(subset)),  # no line begins with a plus
            text_entry("all of them" if domain == "union" else domain),
            *(_entry(values, m, intervals.get((subset, domain), {})) for m in methods),
        ]
        for (subset, domain), values in found.items()
    ]
    table = DataTable(
        key="methods",
        caption="Perplexity of the answers; below it the change in per cent with its 95 % interval "
        "over test questions or ± its standard deviation over seeds",
        columns=[
            Column("sum of", numeric=False),
            Column("measured on", numeric=False),
            *(Column(METHODS[m]) for m in methods),
        ],
        rows=rows,
        file=f"{summary['name']}.csv",
        csv=_csv(found, intervals),
        heads=2,
        references=tuple(REFERENCES.values()),
    )
    return Section("table", "Every sum", {"table": table, "left_out": ""},
                   {"tables": {table.key: table.data()}}, template="predicted")  # fmt: skip


def figures_of(summary: Mapping[str, Any]) -> dict[tuple[tuple[str, ...], str], dict[str, Any]]:
    """Give perplexities by seed: (subset, domain or union) -> method -> values."""
    found: dict[tuple[tuple[str, ...], str], dict[str, Any]] = {}
    for subset in summary["subsets"]:
        for row in subset["rows"]:
            key = tuple(subset["domains"]), row["domain"]
            found[key] = {m: row[m]["values"] for m in ("base", "single", "sum", "merged")}
    for row in summary["methods"]:
        found[tuple(row["subset"]), row["domain"]][row["method"]] = row["perplexity"]["values"]
    return found


def intervals_of(summary: Mapping[str, Any]) -> dict[Any, dict[tuple[str, str], Any]]:
    """Give 95 % intervals of changes: (subset, domain or union) -> (method, against) -> ends."""
    found: dict[Any, dict[tuple[str, str], Any]] = {}
    for subset in summary["subsets"]:
        for row in subset["rows"]:
            ends = {("sum", r): row[f"dppl_{r}"]["interval"] for r in REFERENCES}
            found[tuple(subset["domains"]), row["domain"]] = ends
    for row in summary["methods"]:
        ends = found[tuple(row["subset"]), row["domain"]]
        for reference in ("merged", "single"):
            ends[row["method"], reference] = row[f"dppl_{reference}"].get("interval")
    return found


def _entry(values: Values, method: str, intervals: Mapping[Any, Any]) -> Entry:
    mean = _mean(values[method])
    text = f"{mean:.2f}" if mean < 1000 else f"{mean:,.0f}"
    return Entry(text, mean, "", tuple(_change(values, method, r, intervals) for r in REFERENCES))


def _change(
    values: Values, method: str, reference: str, intervals: Mapping[Any, Any]
) -> Difference | None:
    if method == reference:
        return None
    changes = _changes(values, method, reference)
    ends = intervals.get((method, reference))
    if ends is not None:
        form = "+.1f" if max(map(abs, ends)) < 100 else "+,.0f"
        below = f"{figure(ends[0], form)} to {figure(ends[1], form)}"
    else:
        below = f"± {figure(_deviation(changes), '.1f')}" if len(changes) > 1 else ""
    return difference(_mean(changes), below)


def _changes(values: Values, method: str, reference: str) -> list[float]:
    return [
        100 * (one / other - 1)
        for one, other in zip(values[method], values[reference], strict=True)
    ]


def _csv(found: Mapping[Any, Values], intervals: Mapping[Any, Any]) -> tuple[list[str], list[Any]]:
    columns = ["subset", "domain", "method", "perplexity", "perplexity_spread"]
    columns += [f"change_{r}_percent{end}" for r in REFERENCES for end in ("", "_low", "_high")]
    rows = []
    for (subset, domain), values in found.items():
        for method in (m for m in METHODS if m in values):
            row: list[object] = [" + ".join(subset), domain, METHODS[method]]
            row += [round(_mean(values[method]), 6), _deviation(values[method])]
            for reference in REFERENCES:
                ends = intervals[subset, domain].get((method, reference))
                changes = _changes(values, method, reference)
                row += [round(_mean(changes), 4), *(ends or (None, None))]
            rows.append(row)
    return columns, rows


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None for one."""
    if len(values) < 2:
        return None
    mean = _mean(values)
    return round(math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)), 6)
