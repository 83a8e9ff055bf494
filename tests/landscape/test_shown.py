"""What a notebook shows of a forecast, its rows and its advice."""

from __future__ import annotations

import dataclasses
import math

import pytest
from tests.landscape.test_forecast import Known
from tests.shown.reading import Reading

from superpose.landscape.advice import Advice, advise
from superpose.landscape.forecast import Forecast
from superpose.shown.words import weights_text

ORANGE, BLUE = "rgba(213,94,0,", "rgba(0,114,178,"


def test_a_forecast_shows_every_sum_on_every_domain_with_intervals() -> None:
    found = Known(3, 0.3).forecast()
    predicted, disturbed = Reading(found._repr_html_()).tables
    assert predicted.rows[0] == ["task weights", *found.domains]
    assert [row[0] for row in predicted.rows[1:]] == [
        "base", "a", "b", "c", "a + b", "a + c", "b + c", "a + b + c",
    ]  # fmt: skip
    texts = [text for row in predicted.rows[1:] for text in row[1:]]
    for text, row in zip(texts, found.every_subset(), strict=True):
        low, high = math.exp(row.nll_low), math.exp(row.nll_high)
        mark = {"measured": "", "foretold": "~"}[row.how]
        assert text == f"{mark}{row.perplexity:.2f} ({low:.2f} to {high:.2f})"
    assert disturbed.rows[0] == ["domain", "a", "b", "c"]
    lost = {(d.domain, d.adapter): d.nll for d in found.disturbances()}
    for domain, row in zip(found.domains, disturbed.rows[1:], strict=True):
        assert row[0] == domain
        for name, text in zip(found.names, row[1:], strict=True):
            nll = lost.get((domain, name))
            assert text == ("" if nll is None else f"{100 * math.expm1(nll):+.1f}")


def test_worse_than_the_own_adapter_is_orange_and_better_is_blue() -> None:
    known = Known(2, 0.4)
    known.cost[0] = -0.8
    predicted, disturbed = Reading(known.forecast()._repr_html_()).tables
    both = [attributes.get("style", "") for _, attributes in predicted.cells[4]]
    assert BLUE in both[1]
    assert ORANGE in both[2]
    assert BLUE in disturbed.cells[1][2][1]["style"]
    assert ORANGE in disturbed.cells[2][1][1]["style"]
    own = predicted.cells[2][1][1]
    assert "style" not in own


@pytest.mark.parametrize("adapters", [6, 12])
def test_of_many_adapters_base_singles_and_the_sum_of_all_are_shown(adapters: int) -> None:
    found = Known(adapters, 0.1).forecast()
    shown = Reading(found._repr_html_())
    predicted, disturbed = shown.tables
    assert [row[0] for row in predicted.rows[1:]] == [
        "base", *found.names, " + ".join(found.names)
    ]  # fmt: skip
    said = f"The base, each adapter and the sum of all, of {2**adapters:,} subsets."
    assert said in predicted.caption
    assert len(disturbed.rows) == adapters + 1


def test_one_adapter_disturbs_nobody() -> None:
    assert len(Reading(Known(1, 0.1).forecast()._repr_html_()).tables) == 1


def test_a_forecast_that_cannot_be_made_says_why() -> None:
    known = Known(2, 0.1)
    few = known.sample(0)
    first = dataclasses.replace(
        few, points=few.points[:1], nll=few.nll[:1], gradient=few.gradient[:1]
    )
    shown = Reading(Forecast(("a", "b"), ("x", "y"), (first, first))._repr_html_())
    assert "undetermined" in shown.lines[0]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_single_row_has_no_interval_and_is_shown_all_the_same() -> None:
    base = Reading(Known(2, 0.1, rows=1).forecast()._repr_html_()).tables[0].rows[1]
    assert "(" not in base[1]


def test_a_prediction_and_a_disturbance_show_their_figures() -> None:
    found = Known(2, 0.4).forecast()
    row = found.predict([[1.0, 0.5]])[0]
    (table,) = Reading(row._repr_html_()).tables
    assert table.rows[1][:2] == ["a + 0.5 b", "a.jsonl"]
    assert table.rows[1][3].startswith(f"{100 * math.expm1(row.interference):+.1f} (")
    disturbance = found.disturbances()[0]
    shown = Reading(disturbance._repr_html_())
    assert shown.lines[0].startswith(f"{disturbance.domain} loses to {disturbance.adapter}: +")
    assert [row[0] for row in shown.tables[0].rows[1:]] == ["q_proj", "v_proj"]


def test_advice_shows_verdict_reason_and_weights() -> None:
    advice = advise(Known(2, 0.02).forecast())
    shown = Reading(advice._repr_html_())
    assert shown.lines == [f"For both together, add them: {advice.reason}"]
    assert weights_text(advice.weights or {}) in advice.reason
    strange = Advice("<i>", "<i>:", "&<b>", math.nan, None, None)
    assert Reading(strange._repr_html_()).lines == ["<i>: &<b>"]
