"""The accuracies among choices of a study's summary, as a table; a page needs no torch for it."""

from __future__ import annotations

from superpose.shown import Cell, Column, Table
from superpose.studies.cells import TITLES
from superpose.studies.summary import AccuracyRow, Summary

__all__ = ["accuracies_table"]


def accuracies_table(summary: Summary) -> Table:
    """Subsets and domains down, methods across: accuracy in per cent and its interval."""
    methods = [m for m in TITLES if any(row.method == m for row in summary.accuracies)]
    of: dict[tuple[tuple[str, ...], str], dict[str, AccuracyRow]] = {}
    for row in summary.accuracies:
        of.setdefault((row.subset, row.domain), {})[row.method] = row
    columns = (
        *(Column(title) for title in ("subset", "measured on")),
        *(Column(title, form="") for title in ("questions", "chance")),
        *(Column(TITLES[method], form="") for method in methods),
    )
    rows = []
    for (names, domain), found in of.items():
        any_row = next(iter(found.values()))
        figures = (_cell(found[method]) if method in found else Cell("-") for method in methods)
        counts = Cell(str(any_row.questions)), Cell(f"{100 * any_row.chance:.1f}")
        rows.append((Cell(" + ".join(names)), Cell(domain), *counts, *figures))
    title = (
        "Accuracy among choices in %: how often the right one is the likeliest, mean over seeds "
        "(95 % Wilson interval over questions)"
    )
    return Table(title, columns, tuple(rows), "Domains without choices are left out.")


def _cell(row: AccuracyRow) -> Cell:
    low, high = (f"{100 * end:.1f}" for end in row.interval)
    return Cell(f"{100 * row.accuracy.mean:.1f}", f"{low} to {high}", row.accuracy.mean)
