"""What a notebook shows of a check, a pair and a difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from tests.shown.reading import Reading

from superpose.adapter import Adapter
from superpose.interference import check
from superpose.interference.difference import diff
from superpose.interference.figures import CHANCE, COSINE
from superpose.shown import Table
from superpose.shown.words import true_minus


def test_a_check_shows_pairs_with_verdict_and_reason_and_a_heat_map(
    build: Callable[..., Adapter],
) -> None:
    found = check([build("math", 0), build("<law>", 1), build("toxic", 2)])
    shown = Reading(found._repr_html_())
    adapters, pairs, cosines, *modules = shown.tables
    assert [row[0] for row in adapters.rows] == ["adapter", "math", "<law>", "toxic"]
    assert [row[0] for row in pairs.rows[1:]] == ["math + <law>", "math + toxic", "<law> + toxic"]
    for row, pair in zip(pairs.rows[1:], found.pairs, strict=True):
        judged = pair.judgement
        assert f"{row[0]}: {judged.verdict}. {true_minus(judged.reason)}" in shown.lines
        assert f"Next: {judged.next}" in shown.lines
        assert row[1] == f"{pair.rms_cosine:.4f} ({pair.rms_cosine_floor:.4f})"
    assert cosines.rows[0][1:] == ["math", "<law>", "toxic"]
    values = {(0, 1): found.pairs[0], (0, 2): found.pairs[1], (1, 2): found.pairs[2]}
    for (i, j), pair in values.items():
        figure = true_minus(f"{pair.cosine / pair.cosine_floor:+.1f}")
        assert cosines.rows[1 + i][1 + j] == cosines.rows[1 + j][1 + i] == figure
    assert [cosines.rows[i][i] for i in (1, 2, 3)] == ["", "", ""]
    most = [[m.name for m in pair.most_overlapping] for pair in found.pairs]
    assert [[row[0] for row in table.rows[1:]] for table in modules] == most
    assert shown.lines[-1].startswith("The sum of all 3 has ")


def test_of_a_few_adapters_nothing_is_left_out_and_nothing_said_to_be(
    build: Callable[..., Adapter],
) -> None:
    adapters, pairs, *_ = check([build("a", 0), build("b", 1), build("c", 2)]).shown()
    assert isinstance(adapters, Table)
    assert isinstance(pairs, Table)
    assert (adapters.remark, pairs.remark) == ("", CHANCE)


def background(found: Reading) -> str:
    return found.tables[2].cells[1][2][1].get("style", "")


def test_opposites_are_deep_blue_and_unrelated_adapters_nearly_white(
    build: Callable[..., Adapter],
) -> None:
    one = build("a", 0, {"q": (600, 700)})
    opposed = background(Reading(check([one, -1.0 * one])._repr_html_()))
    unrelated = background(Reading(check([one, build("b", 1, {"q": (600, 700)})])._repr_html_()))
    assert opposed.startswith("background:rgba(0,114,178,0.5")
    assert float((unrelated or "0.0)").rpartition(",")[2].rstrip(")")) < 0.1


def test_the_legend_of_cosines_goes_from_opposites_over_chance_to_agreement() -> None:
    """What chance gives has no shade, whatever is beyond it has one, of either sign alike."""
    shades = [COSINE.shade(step) for step in COSINE.steps]
    assert list(COSINE.steps) == sorted(COSINE.steps)
    assert shades == sorted(shades)
    assert [step for step in COSINE.steps if COSINE.shade(step) == 0.0] == [1.0]
    beyond = [step for step in COSINE.steps if abs(step) > 1.0]
    assert beyond == [-step for step in reversed(beyond)]
    assert (shades[0], shades[-1]) == (-1.0, 1.0)
    assert COSINE.shade(-1.01) < 0.0 < COSINE.shade(1.01)
    assert COSINE.shade(99.0) < 1.0


def test_figures_that_do_not_exist_are_dashes(build: Callable[..., Adapter]) -> None:
    one = build("a", 0)
    shown = Reading(check([one, 0.0 * one])._repr_html_())
    assert shown.tables[1].rows[1][1:3] == ["-", "-"]
    assert shown.lines[0].startswith("a + 0*a: adds nothing. ")
    assert shown.tables[2].rows[1][2] == "-"
    apart = check([one, build("b", 1, {"other": (5, 4)})])
    assert Reading(apart._repr_html_()).lines[0].startswith("a + b: no shared modules. ")
    assert len(Reading(apart.pairs[0]._repr_html_()).tables) == 1


def test_of_very_many_adapters_the_weightiest_pairs_are_shown(
    build: Callable[..., Adapter],
) -> None:
    many = [build(f"a{seed}", seed, {"q": (12, 12)}, 1) for seed in range(30)]
    found = check([*many, 2.0 * many[29]])
    html = found._repr_html_()
    assert len(html) < 200_000
    shown = Reading(html)
    assert [len(table.rows) for table in shown.tables[:2]] == [25, 25]
    assert shown.tables[2].caption.startswith("Clusters")
    assert "a29, 2*a29" in str(shown.tables[2].rows)
    assert len(shown.tables[3].rows) == 25
    assert shown.tables[1].rows[1][0] == "a29 + 2*a29"
    assert "24 of 31 adapters" in shown.tables[0].caption
    assert "465 pairs the 24 farthest" in shown.tables[1].caption


def test_a_pair_shows_its_most_overlapping_modules(build: Callable[..., Adapter]) -> None:
    (pair,) = check([build("a", 0), build("b", 1)]).pairs
    figures, modules = Reading(pair._repr_html_()).tables
    assert figures.rows[1][0] == "a + b"
    assert [row[0] for row in modules.rows[1:]] == [m.name for m in pair.most_overlapping]


def test_a_difference_shows_the_verdict_and_the_modules_that_differ(
    build: Callable[..., Adapter],
) -> None:
    one = build("a", 0)
    other = Adapter({**one, "k": build("b", 1)["k"], "extra": one["q"]}, "b", "org/base")
    found = diff(one, other)
    shown = Reading(found._repr_html_())
    assert shown.lines == [f"a and b: {found.verdict}", "only in b: extra"]
    facts, modules = shown.tables
    assert facts.rows[:2] == [["what", "a", "b"], ["base model", "-", "org/base"]]
    assert modules.rows[0] == ["module", "norm in a", "norm in b", "difference"]
    assert {row[0] for row in modules.rows[1:]} == {"k", "extra"}
    same = Reading(diff(one, one)._repr_html_())
    assert (same.lines, same.tables) == (["a (1) and a (2): the same"], [])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 1e300])
def test_no_figures_keep_a_check_or_a_difference_from_being_shown(
    build: Callable[..., Adapter], value: float
) -> None:
    adapters = [build("a", 0), build("b", 1)]
    found, apart = check(adapters), diff(*adapters)
    (pair,) = found.pairs
    strange = replace(
        pair,
        **{f.name: value for f in fields(pair) if isinstance(getattr(pair, f.name), float)},
        norms=(value, value),
        modules=tuple(type(m)(m.name, *[value] * 6) for m in pair.modules),
    )
    shown = Reading(replace(found, pairs=(strange,), energy_ratio=value)._repr_html_())
    assert len(shown.tables) >= 3
    assert Reading(strange._repr_html_()).tables
    modules = tuple(type(m)(m.name, None, value, value) for m in apart.modules)
    assert Reading(replace(apart, modules=modules, difference=value)._repr_html_()).lines
