"""What a notebook shows of an adapter, a sum and a delta."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.shown.reading import Reading

from superpose.adapter import Adapter, Delta, Part, Replacement, Stored


def test_an_adapter_shows_its_figures_and_its_kinds_of_module(
    build: Callable[..., Adapter],
) -> None:
    adapter = build("math", base_model="org/tiny", path="/home/someone/math")
    html = adapter._repr_html_()
    found = Reading(html)
    assert found.lines[0].startswith(
        "math: base model org/tiny; task not named; target modules 2; rank 3; "
    )
    assert f"norm {adapter.norm():.4g}" in found.lines[0]
    (table,) = found.tables
    assert table.rows[0] == ["kind", "modules", "out x in", "rank", "scaling", "norm"]
    assert [row[:4] for row in table.rows[1:]] == [
        ["q", "1", "6 x 5", "2"],
        ["v", "1", "4 x 5", "3"],
    ]
    assert "someone" not in html


def test_a_sum_shows_itself_by_its_formula(build: Callable[..., Adapter]) -> None:
    both = build("<b>", 1) - 0.5 * build("law", 2)
    (first, *_) = Reading(both._repr_html_()).lines
    assert first.startswith("<b> - 0.5*law: base model not named; ")


def test_an_adapter_that_adds_nothing_says_so(build: Callable[..., Adapter]) -> None:
    lines = Reading((0 * build())._repr_html_()).lines
    assert lines[1].startswith("adds nothing")


@pytest.mark.parametrize("value", [0.0, 1e200, np.inf, np.nan])
def test_no_values_keep_an_adapter_or_a_delta_from_being_shown(value: float) -> None:
    delta = Delta.of(np.full((3, 1), value), np.full((1, 2), value))
    assert Reading(delta._repr_html_()).tables[0].rows[1][:4] == ["3 x 2", "1", "1", "5"]
    assert Reading(Adapter({"q": delta})._repr_html_()).tables[0].rows[1][:2] == ["q", "1"]


def test_an_adapter_of_stored_tensors_alone_has_no_table() -> None:
    stored = Replacement((Part(1.0, Stored(np.ones(3))),), "norm.weight")
    found = Reading(Adapter({}, replacements={stored.key: stored})._repr_html_())
    assert found.tables == []
    assert "stored whole norm.weight" in found.lines[0]
