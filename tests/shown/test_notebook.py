"""Parts in a notebook: every name as it is, nothing of it markup, figures written on shades."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, strategies as st
from tests.shown.reading import Reading

from superpose.shown import (
    Cell,
    Column,
    Fact,
    Facts,
    Heat,
    Line,
    Part,
    Scale,
    Table,
)
from superpose.shown.notebook import notebook_html
from superpose.shown.text import escaped, shortened

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></tr></table><!-- ",
    "&lt;b&gt; &#x27;",
    "$\\href{javascript:alert(1)}{x}$",
    "a\x00b\x1b[31m\r\n\u202egnp.exe\ud800",
    "/" * 300,
    "",
)
names = st.one_of(st.text(), st.sampled_from(HOSTILE))


def read(*parts: Part) -> Reading:
    return Reading(notebook_html(parts))


def one_row(title: str, *cells: Cell, columns: tuple[str, ...] = ("x", "y")) -> Table:
    """A table of one row: its first column words, the others figures."""
    first, *others = (Column(name) for name in columns)
    figures = (Column(column.title, form="") for column in others)
    return Table(title, (first, *figures), (cells,))


@given(name=names, other=names)
def test_a_hostile_name_adds_no_tag_and_no_attribute(name: str, other: str) -> None:
    parts = (
        Line(name, other),
        Facts((Fact("adapter", name, other), Fact(other, name))),
        one_row(name, Cell(name, other), Cell(other, shade=0.5), columns=(other, name)),
        Heat(name, other, (name,), (other,), ((1.0,),), Scale("", "", 0.0, 1.0, lambda _: name)),
    )
    notebook_html(parts).encode("utf-8")
    found = read(*parts)
    assert len(found.tables) == 2
    assert [len(row) for t in found.tables for row in t.rows] == [2] * 4
    for _, attributes in (cell for t in found.tables for row in t.cells for cell in row):
        assert set(attributes) <= {"scope", "style", "title"}


@given(name=names)
def test_a_short_name_without_controls_is_read_back_as_it_is(name: str) -> None:
    text = "".join(c for c in name if c.isprintable())[:48]
    found = read(Table("", (Column("x"),), ((Cell(text),),)))
    assert found.tables[0].rows == [["x"], [text]]


@pytest.mark.parametrize("name", HOSTILE)
def test_controls_and_halves_of_characters_become_escapes(name: str) -> None:
    visible = escaped(name)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff<>\"']", visible)


def test_a_long_name_is_cut_in_its_middle_and_whole_in_its_title() -> None:
    name = "model.layers.11.self_attn.experts.7." + "x" * 40 + ".q_proj"
    assert len(shortened(name)) == 48
    assert shortened(name).startswith("model.layers.11")
    assert shortened(name).endswith("x.q_proj")
    assert shortened("a" * 48) == "a" * 48
    (found,) = read(one_row("", Cell(name), Cell(name))).tables
    for text, (_, attributes) in zip(found.rows[1], found.cells[1], strict=True):
        assert (text, attributes["title"]) == (shortened(name), name)


def test_a_sentence_is_not_cut() -> None:
    sentence = "They point the same way: " * 10
    (found,) = read(one_row("", Cell("a"), Cell(sentence.strip()))).tables
    assert found.rows[1] == ["a", sentence.strip()]


def test_an_answer_keeps_its_lines() -> None:
    (found,) = read(Table("", (Column("answer", prose=True),), ((Cell("one\n<b>two"),),))).tables
    assert found.rows[1] == ["one\n<b>two"]
    assert "pre-wrap" in str(found.cells[1][0][1]["style"])


def test_heads_tell_of_what_they_are_the_head() -> None:
    (found,) = read(one_row("figures", Cell("a + b"), Cell("0.1"))).tables
    assert found.caption == "figures"
    scopes = [[(tag, given.get("scope")) for tag, given in row] for row in found.cells]
    assert scopes == [[("th", "col"), ("th", "col")], [("th", "row"), ("td", None)]]


def shades(value: float | None, full: float = 1.0) -> tuple[str, str]:
    heat = Heat("", "", ("a",), ("b",), ((value,),), Scale("", "", 0.0, full, "+.1f"))
    (found,) = read(heat).tables
    return found.rows[1][1], found.cells[1][1][1].get("style", "")


def test_the_figure_is_written_and_its_sign_has_a_colour_of_its_own() -> None:
    assert shades(2.0) == ("+2.0", "background:rgba(213,94,0,0.55)")
    assert shades(-2.0) == ("−2.0", "background:rgba(0,114,178,0.55)")
    assert shades(9.0, 1.0)[1] == shades(9.0, 9.0)[1]
    assert shades(0.0) == ("+0.0", "")
    assert shades(math.nan) == ("-", "")


def test_where_there_is_nothing_to_say_a_heat_map_says_nothing() -> None:
    assert shades(None) == ("", "")


@pytest.mark.parametrize("ink", [0.0, 1.0])
def test_a_figure_on_the_strongest_shade_stays_readable_in_both_themes(ink: float) -> None:
    """WCAG's contrast of black on white paper, and of white on black, under each shade."""
    paper = 1.0 - ink
    for value in (1.0, -1.0):
        *channels, alpha = map(float, re.findall(r"[\d.]+", shades(value)[1]))
        mixed = [alpha * channel / 255 + (1 - alpha) * paper for channel in channels]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mixed]
        luminance = sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))
        bright, dark = sorted((luminance, ink), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) > 7.0
