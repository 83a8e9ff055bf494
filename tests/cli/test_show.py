"""Parts in a terminal: names give way, figures do not, and nothing of a name is markup."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from superpose.adapter import Adapter, Delta
from superpose.cli.show import show
from superpose.shown import Cell, Column, Fact, Facts, Heat, Line, Part, Scale, Table
from superpose.studies.summary import Summary
from superpose.studies.tables import adapters_table, study_parts

SUMMARIES = sorted((Path(__file__).parents[2] / "docs" / "results").glob("*/summary.json"))

figures = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: f"{x:+.4g}")
titles = st.text("abc ", max_size=30)


def printed(*parts: Part, width: int = 80) -> str:
    """What a terminal of so many columns shows."""
    heard = io.StringIO()
    show(parts, Console(file=heard, width=width, highlight=False, emoji=False))
    return heard.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of up to twelve columns: words first, then figures with an interval or without."""
    heads = draw(st.integers(1, 2))
    columns = [Column(draw(titles)) for _ in range(heads)]
    columns += [Column(draw(titles), form="") for _ in range(draw(st.integers(1, 10)))]
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        words = [Cell(draw(st.text("xyz. ", max_size=60))) for _ in range(heads)]
        beside = st.one_of(st.just(""), st.tuples(figures, figures).map(" to ".join))
        cells = [Cell(draw(figures), draw(beside)) for _ in columns[heads:]]
        rows.append((*words, *cells))
    return Table("table", tuple(columns), tuple(rows))


def assert_whole(table: Table, width: int) -> None:
    """Fail where a line is too long for the terminal, or a figure is not whole."""
    text = printed(table, width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    seen = {piece.strip() for piece in re.split(r" {2,}|\n", text)}
    for row in table.rows:
        for cell, column in zip(row, table.columns, strict=True):
            if column.figures:
                below = f"({cell.beside})"
                pieces = {cell.text, below} if cell.beside else {cell.text}
                assert f"{cell.text} {below}" in seen or pieces <= seen, cell


@given(table=tables(), width=st.integers(80, 160))
def test_no_figure_is_ever_cut_and_no_line_is_too_long(table: Table, width: int) -> None:
    assert_whole(table, width)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.parent.name)
def test_no_figure_of_a_recorded_study_is_cut(path: Path, width: int) -> None:
    summary = Summary.from_json(json.loads(path.read_text(encoding="utf-8")))
    parts = (adapters_table(summary), *study_parts(summary))
    tables = [part for part in parts if isinstance(part, Table)]
    assert len(tables) > 2
    for table in tables:
        assert_whole(table, width)


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.parent.name)
def test_no_correlation_of_fewer_than_ten_points_is_told(path: Path) -> None:
    summary = Summary.from_json(json.loads(path.read_text(encoding="utf-8")))
    text = printed(*study_parts(summary), width=160)
    told = text.partition("What the weights tell, against")[2]
    fewer = [row for row in summary.correlations if row.n < 10]
    assert (f"{len(fewer)} relations of fewer than 10 points" in told) == bool(fewer)
    points = re.findall(r"^ .*(?:pairs|sums of every size|every sum) +(\d+) ", told, re.MULTILINE)
    assert points == [str(row.n) for row in summary.correlations if row.n >= 10]


def test_a_table_that_is_too_wide_goes_on_below_with_its_names_again() -> None:
    names = [f"domain-{k}" for k in range(9)]
    columns = (Column("task weights"), *(Column(name, form="") for name in names))
    cells = [Cell("12.34", "11.11 to 13.13") for _ in names]
    text = printed(Table("Perplexity", columns, ((Cell("math + law"), *cells),)))
    assert text.count("math + law") > 1
    assert text.count("Perplexity") == 1
    assert text.count("12.34") == text.count("(11.11 to 13.13)") == 9
    assert re.findall(r"domain-\d", text) == names


def test_of_many_ranks_and_scalings_each_is_whole() -> None:
    scales = [0.125 * k for k in range(1, 30)]
    deltas = {
        f"layers.{k}.q": Delta.of(np.ones((20 + k, k)), np.ones((k, 30)), s)
        for k, s in enumerate(scales, start=1)
    }
    text = printed(*Adapter(deltas).shown())
    assert max(map(len, text.splitlines())) <= 80
    words = set(re.split(r"[\s,]+", text))
    assert {f"{s:g}" for s in scales} <= words
    assert {str(20 + k) for k in range(1, 30)} <= words


def test_an_answer_keeps_its_lines() -> None:
    columns = (Column("weights"), Column("answer", prose=True))
    text = printed(Table("t", columns, ((Cell("a"), Cell("first\n\x1b[31m[bold]")),)))
    assert [line.split() for line in text.splitlines()[3:5]] == [
        ["a", "first"], ["\\x1b[31m[bold]"]
    ]  # fmt: skip


def test_a_table_with_room_keeps_each_row_on_its_line() -> None:
    columns = (Column("module"), Column("RMS cosine", form=""))
    text = printed(Table("t", columns, ((Cell("q"), Cell("0.1", "0.2")),)))
    assert "RMS cosine" in text
    assert "0.1 (0.2)" in text


@pytest.mark.parametrize("name", ["[bold]", "[/red]", ":smile:", "a\x1b[31mb", "two\nlines"])
def test_a_name_is_printed_as_it_is_and_controls_nothing(name: str) -> None:
    shown = name.replace("\x1b", "\\x1b").replace("\n", "\\n")
    parts = (
        Line(name, name),
        Facts((Fact("adapter", "elsewhere", name),)),
        Table(name, (Column(name),), ((Cell(name),),), name),
    )
    assert printed(*parts).count(shown) == 7


def test_a_command_stays_on_one_line_and_a_heat_map_is_listed_where_it_can_be() -> None:
    command = "superpose add " + " ".join(f"adapter-{k}" for k in range(20))
    assert f"Next:\n  {command}\n" in printed(Line(command, "Next:", whole=True))
    scale = Scale("", "", 0.0, 1.0, ".1f")
    listed = Table("listed", (Column("pair"),), ((Cell("a + b"),),))
    heat = Heat("map", "", ("a",), ("b",), ((0.5,),), scale)
    assert printed(heat) == ""
    assert "a + b" in printed(Heat("map", "", ("a",), ("b",), ((0.5,),), scale, listed))
