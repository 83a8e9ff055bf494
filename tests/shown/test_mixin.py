"""What a result shows of itself in a console: its first sentences, or what its tables are of."""

from __future__ import annotations

from superpose.shown import Cell, Column, Fact, Facts, Heat, Line, Part, Scale, Shown, Table

TABLE = Table("Pairs, by module", (Column("a"), Column("b")), ((Cell("1"), Cell("2")),))
HEAT = Heat("Cosines", "", ("a",), ("a",), ((1.0,),), Scale("", "", 0.0, 1.0, str))


class Result(Shown):
    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def shown(self) -> tuple[Part, ...]:
        return self.parts


def test_sentences_and_facts_come_first_and_three_of_them() -> None:
    facts = Facts((Fact("rank", "4"), Fact("size", "2 MB")))
    found = repr(
        Result(TABLE, Line("of two.", "Exact"), facts, Line("y", "x"), Line("out", "left"))
    )
    assert found.splitlines() == ["<Result>", "  Exact of two.", "  rank 4, size 2 MB", "  x y"]


def test_where_there_is_no_sentence_tables_say_what_they_are_of() -> None:
    assert repr(Result(TABLE)).splitlines() == ["<Result>", "  Pairs, by module"]
    assert repr(Result(HEAT)).splitlines() == ["<Result>", "  Cosines"]
    assert repr(Result(Line("a" * 400))).splitlines()[1] == "  " + "a" * 159 + "…"


def test_nothing_to_show_is_the_name_alone() -> None:
    assert repr(Result()) == "<Result>"
