"""The accuracies of a study on its page: among choices, and of answers that were said."""

from __future__ import annotations

from superpose.report.page import Section
from superpose.report.tables import DataTable
from superpose.studies.accuracy_table import accuracies_table, matches_table
from superpose.studies.cells import TITLES
from superpose.studies.summary import Summary

__all__ = ["accuracies_data", "accuracy_section", "matches_data", "matches_section"]


def accuracy_section(summary: Summary) -> Section:
    """Give the section for a study whose test rows have choices."""
    return accuracies_data(summary).section("Right choices", anchor="right-choices")


def matches_section(summary: Summary) -> Section:
    """Give the section for a study whose test questions were answered greedily."""
    return matches_data(summary).section("Exact answers", anchor="exact-answers")


def accuracies_data(summary: Summary) -> DataTable:
    """Give the accuracies among choices, and all figures of them as CSV."""
    ends = ("accuracy", "accuracy_low", "accuracy_high")
    columns = ("subset", "domain", "method", "questions", "chance", *ends)
    csv = [
        (
            *(" + ".join(row.subset), row.domain, TITLES[row.method], row.questions, row.chance),
            *(round(row.accuracy.mean, 6), *row.interval, round(row.per_token.mean, 6)),
        )
        for row in summary.accuracies
    ]
    file = f"{summary.name}-accuracy.csv"
    return DataTable(
        "accuracies", accuracies_table(summary), file, ((*columns, "per_token"), csv), heads=3
    )


def matches_data(summary: Summary) -> DataTable:
    """Give the exact answers, and all figures of them as CSV."""
    ends = ("exact_match", "exact_match_low", "exact_match_high")
    columns = ("subset", "domain", "method", "questions", *ends)
    csv = [
        (
            *(" + ".join(row.subset), row.domain, TITLES[row.method], row.questions),
            *(round(row.share.mean, 6), *row.interval),
        )
        for row in summary.matches
    ]
    file = f"{summary.name}-exact-match.csv"
    return DataTable("matches", matches_table(summary), file, (columns, csv), heads=2)
