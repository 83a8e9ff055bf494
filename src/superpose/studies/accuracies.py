"""A study's accuracies among choices, of every subset and method: from the scores to a table."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.measure.choice_score import ChoiceScore
from superpose.shown import Cell, Column, Table
from superpose.statistics import wilson
from superpose.studies.beside import spread
from superpose.studies.cells import TITLES, UNION, domain_subsets
from superpose.studies.scores import StudyScores
from superpose.studies.summary import AccuracyRow, Summary

__all__ = ["accuracies", "accuracies_table"]


def accuracies(scores: StudyScores) -> tuple[AccuracyRow, ...]:
    """Give every subset, domain and method whose test rows have choices."""
    methods = dict.fromkeys(("base", "single", *scores.methods))
    found = []
    for names in domain_subsets(scores.domains):
        for domain in (*names, UNION):
            for method in methods:
                each = [score.choices for score in scores.each(method, names, domain)]
                if each and all(each):
                    chosen = [choices for choices in each if choices is not None]
                    found.append(_row(names, domain, method, chosen))
    return tuple(found)


def _row(
    names: tuple[str, ...], domain: str, method: str, chosen: Sequence[ChoiceScore]
) -> AccuracyRow:
    accuracy = spread([choices.accuracy for choices in chosen])
    questions = chosen[0].questions
    ends = wilson(accuracy.mean * questions, questions)
    return AccuracyRow(
        subset=names,
        domain=domain,
        method=method,
        questions=questions,
        chance=round(chosen[0].chance, 6),
        accuracy=accuracy,
        per_token=spread([choices.accuracy_per_token for choices in chosen]),
        interval=(round(ends[0], 6), round(ends[1], 6)),
    )


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
