"""Which methods of a study can be told from the naive sum, and which are a tie with it."""

from __future__ import annotations

from superpose.shown import Cell, Column, Table, written
from superpose.statistics.paired import TOLD_APART
from superpose.studies.cells import TITLES, UNION
from superpose.studies.screenful import screenful
from superpose.studies.summary import AgainstSum, Summary

__all__ = ["against_sum_table"]


def against_sum_table(summary: Summary, *, whole: bool = True) -> Table:
    """Subsets down, methods across: how far from the naive sum on the union, or a tie.

    whole: every subset, and not the ones that a screen has room for.
    """
    rows = [row for row in summary.against_sum if row.domain == UNION]
    methods = list(dict.fromkeys(row.method for row in rows))
    found = {(row.subset, row.method): _cell(row) for row in rows}
    columns = (Column("sum of"), *(Column(TITLES[m], form="") for m in methods))
    subsets, fewer = [*dict.fromkeys(row.subset for row in rows)], ""
    if not whole:
        subsets, fewer = screenful(subsets, lambda subset: (subset, UNION), summary.whole)
    lines = ((Cell.sum_of(subset), *(found[subset, m] for m in methods)) for subset in subsets)
    over = "questions and seeds" if len(summary.seeds) > 1 else "questions"
    title = (
        "Each method against the naive sum, in nats an answer token on the union of a subset's "
        f"test rows: below 0 it is better. ± two standard errors over {over}; a tie is nearer"
    )
    return Table(title, columns, tuple(lines), fewer)


def _cell(row: AgainstSum) -> Cell:
    away = "tie" if row.tie or row.error is None else f"± {TOLD_APART * row.error:.3f}"
    return Cell(written(row.difference, "+.3f"), away, value=row.difference)
