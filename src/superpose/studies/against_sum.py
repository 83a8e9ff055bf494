"""Which methods of a study can be told from the naive sum, and which are a tie with it."""

from __future__ import annotations

from superpose.shown import Cell, Column, Table, written
from superpose.statistics.paired import TOLD_APART
from superpose.studies.cells import TITLES, UNION
from superpose.studies.summary import AgainstSum, Summary

__all__ = ["against_sum_table"]


def against_sum_table(summary: Summary) -> Table:
    """Subsets down, methods across: how far from the naive sum on the union, or a tie."""
    rows = [row for row in summary.against_sum if row.domain == UNION]
    methods = list(dict.fromkeys(row.method for row in rows))
    found = {(row.subset, row.method): _cell(row) for row in rows}
    columns = (Column("sum of"), *(Column(TITLES[m], form="") for m in methods))
    lines = (
        (Cell.sum_of(subset), *(found[subset, m] for m in methods))
        for subset in dict.fromkeys(row.subset for row in rows)
    )
    over = "questions and seeds" if len(summary.seeds) > 1 else "questions"
    title = (
        "Each method against the naive sum, in nats an answer token on the union of a subset's "
        f"test rows: below 0 it is better. ± two standard errors over {over}; a tie is nearer"
    )
    return Table(title, columns, tuple(lines))


def _cell(row: AgainstSum) -> Cell:
    away = "tie" if row.tie or row.error is None else f"± {TOLD_APART * row.error:.3f}"
    return Cell(written(row.difference, "+.3f"), away, value=row.difference)
