"""A method that cannot be told from the plain sum is a tie; the gap is that to the own adapters."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.measure.evaluate import Score
from superpose.measure.ranking import NAIVE, OWN, ranked
from superpose.measure.standing import Standing

ROWS = 40


def standing(method: str, more: float, noise: float = 0.0) -> Standing:
    """A method that costs `more` nats a token than 1 on both domains; questions differ."""
    rng, scores = np.random.default_rng(len(method)), {}
    for domain, tokens in (("long", 50), ("short", 2)):
        each = (1.0 + more + noise * rng.standard_normal(ROWS)) * tokens
        scores[domain] = Score(tuple(each.tolist()), (tokens,) * ROWS)
    right = {"long": (True, False), "short": ()}
    return Standing(method, {}, 1.0, (), 4.0, scores, right, 1, 4, 0.1, 1.0)


def test_methods_stand_in_order_against_the_plain_sum() -> None:
    found = ranked(
        [
            standing("sum", 0.5),
            standing("good", 0.2),
            standing("bad", 0.9),
            standing("so", 0.51, 0.2),
        ],
        [standing(OWN, 0.1), standing(NAIVE, 0.6), standing("merged data", 0.2)],
    )
    assert {one.standing.method: one.verdict for one in found} == {
        "good": "better", "sum": "", "so": "tie", "bad": "worse",
    }  # fmt: skip
    assert [found[0].standing.method, found[-1].standing.method] == ["good", "bad"]
    best = found[0]
    assert best.closed == pytest.approx(0.8)
    assert best.change == pytest.approx(0.0, abs=1e-9)
    assert best.against is not None
    assert best.against.difference == pytest.approx(-0.3)
    assert best.standing.accuracy == 0.5
    assert best.to_json()["mean_nll"] == pytest.approx(1.2)


def test_without_what_it_is_held_against_there_is_no_figure() -> None:
    (alone,) = ranked([standing("ties", 0.1)])
    assert (alone.against, alone.closed, alone.change, alone.verdict) == (None, None, None, "")
    worse = ranked([standing("sum", 0.3)], [standing(OWN, 0.5), standing(NAIVE, 0.4)])
    assert worse[0].closed is None
