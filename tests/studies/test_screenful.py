"""Tables of a study on a screen: those rows that tell most, and what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from superpose.shown import Table
from superpose.studies.cells import UNION
from superpose.studies.screenful import MOST_ROWS, screenful
from superpose.studies.summary import Summary
from superpose.studies.tables import study_parts

RESULTS = Path(__file__).parents[2] / "docs" / "results"
WHOLE = ("a", "b", "c", "d", "e", "f")


def recorded(name: str) -> Summary:
    return Summary.from_json(json.loads((RESULTS / name / "summary.json").read_text("utf-8")))


@pytest.mark.parametrize("name", ["demo", "demo-baselines", "smollm2"])
def test_no_table_of_a_study_is_longer_than_a_screen(name: str) -> None:
    summary = recorded(name)
    every = sum(len(subset.measured) for subset in summary.subsets)
    tables = [part for part in study_parts(summary) if isinstance(part, Table)]
    assert tables
    for table in tables:
        assert len(table.rows) <= MOST_ROWS, table.title
    sums = next(table for table in tables if table.title.startswith("Perplexity (PPL)"))
    assert len(sums.rows) == min(every, MOST_ROWS)
    fewer = f"{MOST_ROWS} of {every} rows"
    assert (fewer in sums.remark) == (every > MOST_ROWS)
    told = [row[1].text for row in sums.rows]
    assert told[-len(summary.whole) - 1 :] == [*summary.whole, UNION]


def test_each_subset_on_a_screen_is_named_in_its_first_row() -> None:
    """Of most subsets no other row is there than that of all domains."""
    for table in study_parts(recorded("smollm2")):
        if isinstance(table, Table) and table.columns[0].title == "subset":
            assert table.rows[0][0].names
            named = [row[0].names for row in table.rows if row[0].names]
            assert len(named) == len(set(named))


def test_the_sum_of_all_comes_first_then_what_is_measured_on_all_domains() -> None:
    pairs = [(a, b) for at, a in enumerate(WHOLE) for b in WHOLE[at + 1 :]]
    rows = [(of, domain) for of in [*pairs, WHOLE] for domain in (*of, UNION)]
    told, said = screenful(rows, lambda row: row, WHOLE)
    assert len(told) == MOST_ROWS
    assert told == [row for row in rows if row in told], "in their order"
    assert {row for row in rows if row[0] == WHOLE} <= set(told)
    assert {row for row in rows if row[1] == UNION} <= set(told)
    assert said.startswith(f"{MOST_ROWS} of {len(rows)} rows")
    assert screenful(rows[:MOST_ROWS], lambda row: row, WHOLE) == (rows[:MOST_ROWS], "")
