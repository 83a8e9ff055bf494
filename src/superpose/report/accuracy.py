"""The accuracies among choices of a study, on its page."""

from __future__ import annotations

from superpose.report.page import Section
from superpose.report.tables import DataTable
from superpose.studies.accuracy_table import accuracies_table
from superpose.studies.cells import TITLES
from superpose.studies.summary import Summary

__all__ = ["accuracy_section"]


def accuracy_section(summary: Summary) -> Section:
    """Give the section for a study whose test rows have choices."""
    columns = ("subset", "domain", "method", "questions", "chance", "accuracy", "low", "high")
    csv = [
        (
            *(" + ".join(row.subset), row.domain, TITLES[row.method], row.questions, row.chance),
            *(round(row.accuracy.mean, 6), *row.interval, round(row.per_token.mean, 6)),
        )
        for row in summary.accuracies
    ]
    file = f"{summary.name}-accuracy.csv"
    table = DataTable(
        "accuracies", accuracies_table(summary), file, ((*columns, "per_token"), csv), heads=3
    )
    return table.section("Right choices")
