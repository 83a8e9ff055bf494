"""Charts: every value lies on its axis, ticks are round, and all of it is text for every theme."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, strategies as st
from tests.report.conftest import HOSTILE

from superpose.report.charts import Area, Axis, Chart, Dot, Dots, Segment
from superpose.report.page import Page, Section, render
from superpose.report.tables import DataTable
from superpose.shown import Table

FINITE = st.floats(-1e12, 1e12, allow_nan=False, allow_subnormal=False)


@given(st.lists(FINITE, max_size=6), st.booleans())
def test_an_axis_holds_its_values_in_order_and_a_few_ticks(values: list[float], zero: bool) -> None:
    axis = Axis.over("x", values, zero=zero)
    at = [axis.percent(v) for v in sorted(values)]
    assert at == sorted(at)
    assert all(0 <= place <= 100 for place in at)
    assert not zero or axis.low <= 0 <= axis.high
    ticks = [value for value, _ in axis.ticks]
    assert 2 <= len(ticks) <= 8
    assert all(axis.low <= tick <= axis.high for tick in ticks)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e5, 1e7])
@pytest.mark.parametrize("width", [0.9, 1.3, 2.4, 6.1])
def test_ticks_are_round_and_differ_as_they_are_written(scale: float, width: float) -> None:
    ticks = Axis.over("x", [0.0, width * scale]).ticks
    step = ticks[1][0] - ticks[0][0]
    first = step / 10 ** math.floor(math.log10(step * (1 + 1e-9)))
    assert any(math.isclose(first, m, rel_tol=1e-6) for m in (1, 2, 5))
    assert len({text for _, text in ticks}) == len(ticks)
    for (a, _), (b, _) in itertools.pairwise(ticks):
        assert math.isclose(b - a, step, rel_tol=1e-6)


def test_a_chart_is_well_formed_and_says_hostile_names_as_they_stand() -> None:
    """The SVG alone is read by a parser of XML; a dot's sentence is its tooltip."""
    names = [name.replace("\u202e", "") for name in HOSTILE]
    kinds = ("pairs", "larger", "forecast", "other")
    chart = Chart(
        key="c",
        title=names[0],
        says=names[1],
        note="None.",
        x=Axis.over(names[2], [0, 1], zero=True),
        y=Axis.of_names(names),
        dots=tuple(
            Dots(name, kind, (Dot(0.5, k, name, (0.25, 1.0)),))
            for k, (name, kind) in enumerate(zip(names, kinds, strict=True))
        ),
        table=DataTable("t", Table("", (), ()), "t.csv", ([], [])),
        lines=(Segment(names[3], "fit", (0, 0), (1, 1)),),
        areas=(Area(names[3], "slope", ((0, 0), (1, 0), (1, 1))),),
    )
    text = render(Page("", "", (Section("figure", "", {"charts": [chart]}),)))
    svg = ET.fromstring(text[text.index('<svg class="chart"') : text.index("<figcaption>")])
    dots = [one for one in svg.iter("svg") if one.get("class") == "point"]
    assert [dot.findtext("title") for dot in dots] == names
    assert [dot.get("y") for dot in dots] == ["87.5%", "62.5%", "37.5%", "12.5%"]
    assert {dot.get("x") for dot in dots} == {f"{chart.across(0.5)}%"}
    assert [svg.findtext("title"), svg.findtext("desc")] == names[:2]
    assert [one.text for one in svg.iter("text")][-5:] == [*names, names[2]]
    labelled = {one.get("id") for one in svg.iter() if one.get("id")}
    assert set(str(svg.get("aria-labelledby")).split()) == labelled
