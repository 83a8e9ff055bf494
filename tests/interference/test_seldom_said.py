"""What a check or a difference says of what is seldom: heads, approximations, two bases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.interference.test_edges import FIGURES, LAYOUT, adapter

from superpose import diff
from superpose.adapter import Adapter, Delta
from superpose.interference import check
from superpose.shown import Line

Build = Callable[..., Adapter]


def lines(shown: object) -> list[str]:
    assert isinstance(shown, tuple)
    return [part.text for part in shown if isinstance(part, Line)]


def test_equal_deltas_on_bases_of_two_names_are_different_and_it_is_said_why(build: Build) -> None:
    one, other = (replace(build(), base_model=name) for name in ("org/tiny", "org/large"))
    found = diff(one, other)
    assert not found.same
    assert found.verdict == "different: base models of different names; relative difference 0"


def test_heads_for_other_labels_are_counted_and_compared_in_no_figure(build: Build) -> None:
    judges = [
        build(f"judge-{labels}", labels, {**LAYOUT, "score": (labels, 50)}) for labels in (2, 3)
    ]
    found, plain = check(judges), check([build(f"judge-{n}", n) for n in (2, 3)])
    said = [line for line in lines(found.shown()) if "of a head" in line]
    assert len(said) == 2
    assert "judge-2 has deltas of a head (1), in none of these figures" in said[0]
    assert [one.norm for one in found.adapters] == pytest.approx(
        [one.norm for one in plain.adapters]
    )


def test_an_approximation_is_said_to_be_one(build: Build) -> None:
    small = replace(build("small").compress(2), path="/somewhere/small")
    said = lines(check([small, build("law", 1)]).shown())
    assert any(line.startswith("small is ") and "rank 2" in line for line in said)


def test_modules_are_no_number(build: Build) -> None:
    modules = check([build(), build("law", 1)]).pairs[0].modules
    assert modules != 3
    assert modules == tuple(modules)


@pytest.mark.parametrize("size", [1e-250, 1e150])
def test_a_module_beyond_float64s_squares_that_one_of_three_lacks_keeps_its_figures(
    size: float,
) -> None:
    few = adapter("z", 2)
    few = Adapter({key: delta for key, delta in few.items() if key != "v"}, "z")
    usual = check([adapter("x", 0), adapter("y", 1), few])
    found = check([adapter("x", 0, size), adapter("y", 1, size), few])
    for name in FIGURES:
        value = getattr(usual.pairs[0], name)
        assert getattr(found.pairs[0], name) == pytest.approx(
            value, rel=1e-3, abs=1e-6, nan_ok=True
        )


def test_what_is_held_in_several_ways_is_listed_in_a_differences_table(build: Build) -> None:
    one = build()
    narrow = {
        key: Delta.of(
            d.terms[0].B.astype(np.float16), d.terms[0].A.astype(np.float16), d.terms[0].coefficient
        )
        for key, d in one.items()
    }
    first = next(iter(one))
    mixed = Adapter({**narrow, first: one[first]}, "mixed")
    (table,) = [
        part
        for part in diff(one, mixed).shown()
        if getattr(part, "title", "") == "Held differently"
    ]
    assert [c.text for row in table.rows for c in row if "float16" in c.text] == [
        "float16, float32"
    ]


def test_a_module_of_several_scalings_lists_them(build: Build) -> None:
    one = build()
    first = next(iter(one))
    twice = Delta((*one[first].terms, *build(seed=1)[first].scaled(0.25).terms))
    (table,) = [
        part
        for part in diff(one, Adapter({**one, first: twice}, "twice")).shown()
        if getattr(part, "title", "") == "Held differently"
    ]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert ["scaling (1 module)", "2", "0.5, 2"] in rows
