"""Columns find and write their figures in objects and in what JSON holds of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from superpose.shown import Column, Table, perplexity, written

CHANCE = Column("cosine", "cosine", "+.2f", ("floor",), "floor")
INTERVAL = Column("loss", "loss", "+.2f", ("low", "high"))


@pytest.mark.parametrize("of", [dict, SimpleNamespace])
def test_a_figure_stands_beside_what_chance_gives_or_within_its_interval(of: Any) -> None:
    record = of(cosine=-0.5, floor=0.25, loss=1.0, low=-0.5, high=1.5)
    (cells,) = Table.of("", (CHANCE, INTERVAL), [record]).rows
    assert [(c.text, c.beside, c.value) for c in cells] == [
        ("-0.50", "0.25", -0.5),
        ("+1.00", "-0.50 to +1.50", 1.0),
    ]


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_figure_that_does_not_exist_is_a_dash_beside_nothing(value: float | None) -> None:
    cell = CHANCE.cell({"cosine": value, "floor": 0.1})
    assert (cell.text, cell.beside) == ("-", "")
    assert written(value, str) == "-"


def test_a_perplexity_has_four_digits_at_most() -> None:
    nats = (0.0, 2.5, 6.0, 20.0, 701.0, math.inf, -math.inf)
    texts = ["1.00", "12.18", "403", "4.9e+08", "inf", "inf", "0.00"]
    assert [perplexity(n) for n in nats] == texts


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [(-0.0004, "+.3f", "+0.000"), (-0.0, ".2f", "0.00"), (-0.004, ".0%", "0%"),
     (-0.0006, "+.3f", "-0.001"), (-0.04, "+.1f", "+0.0"), (-10, "d", "-10")],
)  # fmt: skip
def test_what_is_rounded_to_zero_is_not_below_it(value: float, form: str, text: str) -> None:
    assert written(value, form) == text
