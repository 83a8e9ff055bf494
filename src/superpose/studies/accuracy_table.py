"""The accuracies of a study's summary, as tables; a page needs no torch for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from superpose.shown import Cell, Column, Table
from superpose.statistics import wilson
from superpose.studies.cells import TITLES
from superpose.studies.screenful import screenful
from superpose.studies.summary import AccuracyRow, MatchRow, Summary

__all__ = ["accuracies_table", "matches_table"]

Row = TypeVar("Row", AccuracyRow, MatchRow)
_Place: TypeAlias = tuple[tuple[str, ...], str]

MEANS: Mapping[str, Callable[[AccuracyRow], float]] = {
    "answer": lambda row: row.accuracy.mean,
    "per token": lambda row: row.per_token.mean,
}
"""By what a choice's likelihood is of: the share of questions answered right."""


def accuracies_table(summary: Summary, short: bool = False) -> Table:
    """Subsets, domains and both likelihoods down, methods across: per cent and its interval.

    short: no more rows than a screen has.
    """
    methods, of = _across(summary.accuracies)
    told, fewer = _told(summary, of, short)
    columns = (
        *(Column(title) for title in ("subset", "measured on", "likelihood")),
        *(Column(title, form="") for title in ("questions", "chance")),
        *(Column(TITLES[method], form="") for method in methods),
    )
    rows = []
    for (names, domain), found in told:
        any_row = next(iter(found.values()))
        counts = Cell(str(any_row.questions)), Cell(f"{100 * any_row.chance:.1f}")
        for likelihood, mean in MEANS.items():
            of_which = (Cell.sum_of(names), Cell(domain), Cell(likelihood))
            figures = (
                _cell(mean(found[method]), any_row.questions) if method in found else Cell("-")
                for method in methods
            )
            rows.append((*of_which, *counts, *figures))
    title = (
        "Accuracy among choices in %: how often the right one is the likeliest, mean over seeds "
        "(95 % Wilson interval over questions)"
    )
    note = (
        "Likelihood: of the whole answer, or per token, so that length does not count. Domains "
        "without choices are left out."
    )
    return Table(title, columns, tuple(rows), f"{note} {fewer}".strip())


def matches_table(summary: Summary, short: bool = False) -> Table:
    """Subsets and domains down, methods across: per cent of exact answers and its interval.

    short: no more rows than a screen has.
    """
    methods, of = _across(summary.matches)
    told, fewer = _told(summary, of, short)
    columns = (
        *(Column("subset"), Column("measured on"), Column("questions", form="")),
        *(Column(TITLES[method], form="") for method in methods),
    )
    rows = []
    for (names, domain), found in told:
        questions = next(iter(found.values())).questions
        figures = (_cell(found[m].share.mean, questions) for m in methods)
        rows.append((Cell.sum_of(names), Cell(domain), Cell(str(questions)), *figures))
    title = (
        "Exact matches of greedy answers in %, mean over seeds (95 % Wilson interval over "
        "questions)"
    )
    note = (
        "Compared without case, punctuation and articles; to an answer of one line, what the "
        "model says on its first line counts."
    )
    return Table(title, columns, tuple(rows), f"{note} {fewer}".strip())


def _told(
    summary: Summary, of: Mapping[_Place, Mapping[str, Row]], short: bool
) -> tuple[list[tuple[_Place, Mapping[str, Row]]], str]:
    """Give places with their rows, and what is said of those that are not shown."""
    every = list(of.items())
    return screenful(every, lambda one: one[0], summary.whole) if short else (every, "")


def _across(rows: Sequence[Row]) -> tuple[list[str], dict[_Place, dict[str, Row]]]:
    """Give the methods that there are, in order, and by subset and domain the row of each."""
    of: dict[_Place, dict[str, Row]] = {}
    for row in rows:
        of.setdefault((row.subset, row.domain), {})[row.method] = row
    there = {row.method for row in rows}
    return [method for method in TITLES if method in there], of


def _cell(mean: float, questions: int) -> Cell:
    low, high = (f"{100 * end:.1f}" for end in wilson(mean * questions, questions))
    return Cell(f"{100 * mean:.1f}", f"{low} to {high}", mean)
