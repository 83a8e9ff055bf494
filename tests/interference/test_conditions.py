"""What `--fail-on` understands, and when a pair is what must not be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.interference.pairs import Size, unrelated

from superpose.errors import BadInput
from superpose.interference import Pair, check
from superpose.interference.conditions import CONDITIONS, parse_condition


@pytest.fixture(scope="module")
def pair() -> Pair:
    found = check(unrelated(Size(modules=3, width=20, narrow=18, rank=2))).pairs[0]
    return replace(
        found,
        rms_cosine=0.3,
        rms_cosine_floor=0.1,
        cosine=-0.25,
        output_overlap=0.5,
        input_overlap=0.125,
        norm_ratio=4.0,
        shared_a=False,
    )


FIGURES = {"rms": 3.0, "cosine": -0.25, "output": 0.5, "input": 0.125, "norm": 4.0}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_met_beyond_its_limit_and_not_at_it(figure: str, pair: Pair) -> None:
    value = (pair.rms_cosine / pair.rms_cosine_floor) if figure == "rms" else FIGURES[figure]
    assert value == pytest.approx(FIGURES[figure])
    for side, step in ((">", -1e-3), ("<", 1e-3)):
        assert parse_condition(f"{figure}{side}{value + step!r}").is_met(pair)
        assert not parse_condition(f"{figure}{side}{value - step!r}").is_met(pair)
        assert not parse_condition(f"{figure}{side}{value!r}").is_met(pair)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_condition_says_what_it_is_of_and_how_much_there_is(figure: str, pair: Pair) -> None:
    found = parse_condition(f" {figure} < 1e1 ")
    assert (found.figure, found.side, found.limit) == (figure, "<", 10.0)
    assert found.text == f" {figure} < 1e1 "
    assert f"{figure} ({found.meaning})" in CONDITIONS
    assert found.told(pair) == f"{pair.a} and {pair.b}: {found.meaning} is {FIGURES[figure]:.4g}"


@pytest.mark.parametrize("side", "<>")
def test_what_cannot_be_judged_does_not_pass(side: str, pair: Pair) -> None:
    found = parse_condition(f"output{side}0.5")
    without = replace(pair, output_overlap=math.nan)
    assert found.is_met(without)
    assert found.told(without).startswith(
        f"{pair.a} and {pair.b}: there is no overlap of the output sides to judge by: "
    )


def test_a_start_from_the_same_a_has_no_limit(pair: Pair) -> None:
    found = parse_condition("shared-a")
    assert (found.figure, found.side, found.meaning) == ("shared-a", "", "a start from the same A")
    assert math.isnan(found.limit)
    assert not found.is_met(pair)
    assert found.is_met(replace(pair, shared_a=True))
    assert found.told(pair) == f"{pair.a} and {pair.b} started from the same A"


@pytest.mark.parametrize(
    "text",
    ["", "rms", "rms>", "rms=3", "rms>three", "rms>nan", "shared-a>1", "size>1", "RMS>1", "1<rms",
     "rms>1>2"],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(BadInput, match="is no condition") as refused:
        parse_condition(text)
    assert refused.value.where == "--fail-on"
    assert CONDITIONS in (refused.value.hint or "")
    assert "shared-a" in (refused.value.hint or "")
