"""Methods beside the naive sum on a study's page: which can be told from it."""

from __future__ import annotations

from superpose.report.page import Section
from superpose.report.tables import DataTable
from superpose.studies.against_sum import against_sum_table
from superpose.studies.cells import TITLES
from superpose.studies.summary import Summary

__all__ = ["against_sum_data", "against_sum_section"]

OPEN = 10
"""Sums up to which their table stands open: of more, lights and tables take a page's screens."""


def against_sum_section(summary: Summary) -> Section:
    """Give the section of a study that was measured by row."""
    count = len(summary.subsets)
    return against_sum_data(summary).section(
        "Better than the naive sum, worse, or a tie",
        anchor="against-sum",
        folded=f"All {count} sums" if count > OPEN else "",
    )


def against_sum_data(summary: Summary) -> DataTable:
    """Give the differences on unions, and those of every domain as CSV."""
    columns = ("subset", "domain", "method", "difference_nats", "standard_error", "tie")
    csv = [
        (
            *(" + ".join(row.subset), row.domain, TITLES[row.method]),
            *(row.difference, row.error, row.tie),
        )
        for row in summary.against_sum
    ]
    file = f"{summary.name}-against-sum.csv"
    return DataTable("against-sum", against_sum_table(summary), file, (columns, csv), heads=1)
