"""Accuracies of an evaluation, as tables: of choices, and of answers that were said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from superpose.adapter import sum_or_formula
from superpose.shown import Cell, Column, Line, Part, Table

if TYPE_CHECKING:
    from superpose.measure.sweep import Evaluation

__all__ = ["accuracy_parts"]


def accuracy_parts(points: Sequence[Sequence[Evaluation]]) -> Iterator[Part]:
    """Give a table of choices, and one of exact matches, of the domains that have any.

    points: for each weighting, its score on every domain.
    """
    first = points[0] if points else ()
    if any(row.score.choices for row in first):
        title = (
            "Accuracy among choices in %: how often the right one is the likeliest as a whole "
            "(95 % Wilson interval), and a token"
        )
        yield _table(title, [column for row in first for column in _offered(row)], points, _choices)
        if without := [said for row in first if (said := _without(row))]:
            yield Line(f"Without choices, or without room for all of them: {', '.join(without)}.")
    if any(row.score.match for row in first):
        heads = [f"{row.domain}, {len(row.score.row_nll)} questions" for row in first]
        title = "Exact matches of greedy answers in % (95 % Wilson interval)"
        yield _table(title, [Column(head, form="") for head in heads], points, _matches)


def _offered(row: Evaluation) -> Iterator[Column]:
    if (found := row.score.choices) is not None:
        chance = f"chance {100 * found.chance:.1f}"
        yield Column(f"{row.domain}, {found.questions} questions, {chance}", form="")
        yield Column("a token", form="")


def _without(row: Evaluation) -> str:
    rows = len(row.score.row_nll)
    missing = rows - (row.score.choices.questions if row.score.choices else 0)
    return f"{missing} of {rows} rows of {row.domain}" if missing else ""


def _table(
    title: str,
    columns: Sequence[Column],
    points: Sequence[Sequence[Evaluation]],
    cells: Callable[[Evaluation], Iterator[Cell]],
) -> Table:
    weights = Column("task weights", sum_or_formula)
    rows = (
        (weights.cell(point[0].weighting.weights), *(c for row in point for c in cells(row)))
        for point in points
    )
    return Table(title, (weights, *columns), tuple(rows))


def _choices(row: Evaluation) -> Iterator[Cell]:
    if (found := row.score.choices) is not None:
        yield _percent(found.accuracy, found.interval)
        yield _percent(found.accuracy_per_token)


def _matches(row: Evaluation) -> Iterator[Cell]:
    if (found := row.score.match) is not None:
        yield _percent(found.share, found.interval)


def _percent(share: float, interval: tuple[float, float] | None = None) -> Cell:
    ends = "" if interval is None else " to ".join(f"{100 * end:.1f}" for end in interval)
    return Cell(f"{100 * share:.1f}", ends, share)
