"""The rows of a study's long tables that a terminal and a notebook show: a screen of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from superpose.studies.cells import UNION

__all__ = ["MOST_ROWS", "screenful"]

MOST_ROWS = 24
"""Rows of a table on a screen; a study of four domains has 39, one of six 243."""

T = TypeVar("T")


def screenful(
    rows: Sequence[T], place: Callable[[T], tuple[tuple[str, ...], str]], whole: tuple[str, ...]
) -> tuple[list[T], str]:
    """Give the rows that are shown, in their order, and what is said of those that are not.

    place: the subset and the domain of a row. whole: the subset that all others are of. Its rows
    come first, then those of the others on all of their domains together, smaller subsets first,
    then what is left.
    """
    if len(rows) <= MOST_ROWS:
        return list(rows), ""

    def rank(at: int) -> tuple[bool, bool, int, int]:
        subset, domain = place(rows[at])
        return subset != whole, domain != UNION, len(subset), at

    chosen = sorted(sorted(range(len(rows)), key=rank)[:MOST_ROWS])
    said = (
        f"{MOST_ROWS} of {len(rows):,} rows, those of the sum of all among them; table.csv, "
        "summary.json and the page (--html) have every one."
    )
    return [rows[at] for at in chosen], said
