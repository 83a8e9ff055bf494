"""Right answers on the page of a forecast: the desk says what Python foretells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.landscape.test_forecast import Known
from tests.landscape.test_right_answers import Bent
from tests.report.conftest import BASE, HOSTILE, MADE

from superpose.landscape.advice import advise
from superpose.landscape.right_answers import RightAnswers
from superpose.landscape.right_table import listed_sums, right_json
from superpose.report import predict_page, write_page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.conftest import Open


@pytest.fixture(scope="module")
def answered(pages: Path) -> tuple[Path, RightAnswers]:
    """A page of three adapters, of which the second one's questions have choices."""
    forecast = Known(3, 0.3, rows=20).forecast()
    bent = Bent(3, 40, own=1, seed=2)
    plain = bent.answers()
    rows = (type(plain.rows[0])(HOSTILE[0], "b", ("a", "b", "c")), *plain.rows[1:])
    right = RightAnswers(forecast.names, forecast.domains[1], 1, rows, plain.sample)
    advice = advise(forecast)
    found = {
        "base": BASE,
        **forecast.to_json(),
        "best": [row.to_json() for row in forecast.predict([list(advice.weights.values())])],
        "advice": advice.to_json(),
        "tuned": {"a+b+c": forecast.best_of(forecast.names)},
        "measured": [],
        "right_answers": right_json([right], listed_sums(3)),
        "calibration": {"rows": 60},
    }
    model = forecast.to_model()
    model["domains"][1]["right"] = right.to_model()
    path = pages / "right.html"
    write_page(path, predict_page(found, model, None, ("a", "b", "c"), MADE))
    return path, right


def test_the_desk_foretells_right_answers_as_python_does(
    open_page: Open, answered: tuple[Path, RightAnswers]
) -> None:
    """Measured or foretold: shares, intervals, and the very questions that break or are mended."""
    path, right = answered
    page = open_page(path)
    random = np.random.default_rng(4).uniform(-0.5, 1.5, (12, 3))
    points = np.array([*right.sample.points, *listed_sums(3), *random])
    said = page.evaluate("points => points.map((point) => superpose.right(point))", points.tolist())
    for point, (none, one, other) in zip(points, said, strict=True):
        assert none is other is None
        wanted = right.accuracy(point)
        for key, value in (
            ("share", wanted.accuracy),
            ("low", wanted.accuracy_low),
            ("high", wanted.accuracy_high),
        ):
            assert one[key] == pytest.approx(value, abs=1e-4)
        assert one["measured"] == wanted.measured
        for key, broken in (
            ("breaks", right.breaks(point)), ("mends", right.breaks(right.alone, point)),
        ):  # fmt: skip
            assert sorted(one[key]) == sorted(found.position for found in broken)


def test_right_answers_and_what_breaks_move_with_the_sliders(
    open_page: Open, answered: tuple[Path, RightAnswers]
) -> None:
    path, right = answered
    page = open_page(path)
    for weights in ([1, 1, 1], [1, 1, 0.25], [0, 1, 0]):
        for k, weight in enumerate(weights):
            page.locator(f"[data-number='{k}']").fill(str(weight))
        page.evaluate("() => new Promise(requestAnimationFrame)")
        found, broken = right.accuracy(weights), right.breaks(weights)
        told = str(page.locator("[data-domain='1'] [data-right]").text_content())
        how = "measured" if found.measured else "foretold"
        assert told.startswith(f"Right answers {100 * found.accuracy:.0f}\u00a0% (")
        assert told.endswith(f"), {how}")
        listed = page.locator("[data-domain='1'] [data-broken] li")
        assert listed.count() == len(broken)
        assert f"breaks {len(broken)} of " in str(
            page.locator("[data-domain='1'] summary").text_content()
        )
        for one, text in zip(broken, listed.all_text_contents(), strict=True):
            assert text == f"{one.question} {one.answer}"
    assert page.locator("[data-domain='0'] [data-right]").count() == 0


def test_the_page_has_a_table_of_right_answers(
    open_page: Open, answered: tuple[Path, RightAnswers]
) -> None:
    path, right = answered
    page = open_page(path, viewport={"width": 375, "height": 800})
    text = str(page.locator("#right").text_content())
    share = right.accuracy([1, 1, 1])
    assert f"{100 * share.accuracy:.0f}" in text
    assert "Measured on the calibration rows; ~ foretold." in text
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 375
