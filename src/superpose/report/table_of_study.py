"""The table of a study: subsets and domains down, methods across."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

from superpose.landscape.adding_up import Share
from superpose.report.page import Section
from superpose.report.tables import GAIN, DataTable, ShadedChange, difference, gain_kept
from superpose.shown import Column, Table, four_digits
from superpose.shown.words import figure
from superpose.statistics.bootstrap import Interval
from superpose.studies.cells import TITLES, UNION
from superpose.studies.summary import Summary

__all__ = ["every_sum_csv", "table_section"]

REFERENCES = {"single": TITLES["single"], "merged": TITLES["merged"], "base": "the base"}

Values: TypeAlias = Mapping[str, Sequence[float]]
On: TypeAlias = tuple[tuple[str, ...], str]
"""A subset, and a domain of it or the union."""
Intervals: TypeAlias = dict[tuple[str, str], Interval | None]
"""Of changes: (method, against what) -> ends."""


def table_section(summary: Summary) -> Section:
    """Give the section for a study's summary."""
    found = _figures(summary)
    methods = [m for m in TITLES if any(m in values for values in found.values())]
    intervals = _intervals(summary)

    def mean(method: str, on: On) -> float:
        return _mean(found[on][method])

    columns = (
        Column("sum of", lambda on: "\u00a0+ ".join(on[0])),  # no line begins with a plus
        Column("measured on", lambda on: "all of them" if on[1] == UNION else on[1]),
        *(Column(TITLES[method], partial(mean, method), four_digits) for method in methods),
    )
    changes = {GAIN: _kept(summary, list(found), methods)} | {
        name: [
            [_change(values, m, reference, intervals.get(on, {})) for m in methods]
            for on, values in found.items()
        ]
        for reference, name in REFERENCES.items()
    }
    caption = (
        "Perplexity of the answers; below it the share of the own adapter's gain that is kept, or "
        "the change in per cent, with its 95 % interval over test questions and seeds or ± its "
        "standard deviation over seeds"
    )
    table = Table.of(caption, columns, found)
    csv = _csv(found, intervals)
    drawn = DataTable("methods", table, f"{summary.name}.csv", csv, changes, heads=2)
    return drawn.section("Every sum")


def _kept(
    summary: Summary, on: Sequence[On], methods: Sequence[str]
) -> list[list[ShadedChange | None]]:
    """Give the share of the gain that each method keeps on each domain, where it is known."""
    shares = {
        ((row.subset, row.domain), row.method): Share(
            row.domain, row.kept.share, *(row.kept.interval or (None, None))
        )
        for row in summary.methods
        if row.kept is not None
    }
    nothing = Share("", None, None, None)
    return [[gain_kept(shares.get((each, m), nothing)) for m in methods] for each in on]


def every_sum_csv(summary: Summary) -> tuple[list[str], list[list[object]]]:
    """Give columns and rows of every subset, domain and method: figures with their intervals."""
    return _csv(_figures(summary), _intervals(summary))


def _figures(summary: Summary) -> dict[On, dict[str, Sequence[float]]]:
    """Give perplexities by seed: (subset, domain or union) -> method -> values."""
    found: dict[On, dict[str, Sequence[float]]] = {}
    for subset in summary.subsets:
        for sums in subset.measured:
            found[subset.domains, sums.domain] = {
                "base": sums.base.values,
                "single": sums.single.values,
                "sum": sums.sum.values,
                "merged": sums.merged.values,
            }
    for row in summary.methods:
        found[row.subset, row.domain][row.method] = row.perplexity.values
    return found


def _intervals(summary: Summary) -> dict[On, Intervals]:
    """Give 95 % intervals of changes: (subset, domain or union) -> (method, against) -> ends."""
    found: dict[On, Intervals] = {}
    for subset in summary.subsets:
        for sums in subset.measured:
            found[subset.domains, sums.domain] = {
                ("sum", "merged"): sums.dppl_merged.ends,
                ("sum", "single"): sums.dppl_single.ends,
                ("sum", "base"): sums.dppl_base.ends,
            }
    for row in summary.methods:
        ends = found[row.subset, row.domain]
        ends[row.method, "merged"] = row.dppl_merged.ends
        ends[row.method, "single"] = row.dppl_single.ends
    return found


def _change(
    values: Values, method: str, reference: str, intervals: Intervals
) -> ShadedChange | None:
    if method == reference:
        return None
    changes = _changes(values, method, reference)
    ends = intervals.get((method, reference))
    if ends is not None:
        form = "+.1f" if max(map(abs, ends)) < 100 else "+,.0f"
        below = f"{figure(ends[0], form)} to {figure(ends[1], form)}"
    else:
        below = f"± {figure(_deviation(changes), '.1f')}" if len(changes) > 1 else ""
    return difference(_mean(changes), below, coloured=method != "base")


def _changes(values: Values, method: str, reference: str) -> list[float]:
    return [
        100 * (one / other - 1)
        for one, other in zip(values[method], values[reference], strict=True)
    ]


def _csv(
    found: Mapping[On, Values], intervals: Mapping[On, Intervals]
) -> tuple[list[str], list[list[object]]]:
    columns = ["subset", "domain", "method", "perplexity", "perplexity_spread"]
    columns += [f"change_{r}_percent{end}" for r in REFERENCES for end in ("", "_low", "_high")]
    rows: list[list[object]] = []
    for (subset, domain), values in found.items():
        for method in (m for m in TITLES if m in values):
            row: list[object] = [" + ".join(subset), domain, TITLES[method]]
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
