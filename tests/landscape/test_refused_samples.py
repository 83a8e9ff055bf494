"""What no sample can be, and forecasts that nobody can list, are refused by what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.landscape.test_forecast import Known

from superpose.errors import BadInput
from superpose.landscape.basis import Basis
from superpose.landscape.choice_sample import ChoiceSample
from superpose.landscape.forecast import Forecast
from superpose.landscape.predicted import title_of
from superpose.landscape.sample import Sample

SAMPLE = Known(2, 0.3).sample(0)
CHOICES = ChoiceSample(
    points=np.zeros((3, 2)),
    nll=np.ones((3, 4, 2)),
    slope=np.zeros((3, 4, 2)),
    right=np.zeros(4, np.int64),
    tokens=np.ones((4, 2), np.int64),
)


@pytest.mark.parametrize(
    ("sample", "change", "said"),
    [
        (SAMPLE, {"nll": SAMPLE.nll[:, 1:]}, "points, values and gradients of a sample"),
        (SAMPLE, {"gradient": SAMPLE.gradient[..., :1]}, "do not belong together"),
        (SAMPLE, {"tokens": 0 * SAMPLE.tokens}, "a calibration row has no answer token"),
        (SAMPLE, {"nll": np.inf * SAMPLE.nll}, "the model's likelihoods are not finite"),
        (CHOICES, {"nll": CHOICES.nll[1:]}, "points, values and slopes of choices"),
        (CHOICES, {"slope": CHOICES.slope[..., :1]}, "do not belong together"),
        (CHOICES, {"right": CHOICES.right[1:]}, "do not belong together"),
        (CHOICES, {"nll": np.nan * CHOICES.nll}, "the model's likelihoods are not finite"),
    ],
)
def test_a_sample_that_can_be_none_is_refused(
    sample: Any, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        replace(sample, **change)


def test_no_rows_are_no_sample() -> None:
    with pytest.raises(BadInput, match="has no answer token"):
        Sample(SAMPLE.points, SAMPLE.nll[:, :0], SAMPLE.gradient[:, :0], SAMPLE.tokens[:0],
               SAMPLE.modules)  # fmt: skip


def test_answers_that_a_question_does_not_have_may_be_anything() -> None:
    """A question of fewer answers than the others has no tokens there."""
    nll, tokens = CHOICES.nll.copy(), CHOICES.tokens.copy()
    nll[:, 1, 1], tokens[1, 1] = np.nan, 0
    assert replace(CHOICES, nll=nll, tokens=tokens).tokens[1, 1] == 0


def test_sums_of_too_many_adapters_are_not_listed() -> None:
    known = Known(2, 0.3).forecast()
    names = tuple(f"a{n}" for n in range(17))
    first = known.samples[0]
    wide = replace(
        first,
        points=np.zeros((len(first.points), 17)),
        gradient=np.zeros((*first.gradient.shape[:-1], 17)),
    )
    many = Forecast(names, tuple(f"{name}.jsonl" for name in names), (wide,) * 17)
    with pytest.raises(BadInput, match="17 adapters have too many subsets to list them all"):
        many.every_subset()


def test_the_title_says_what_all_of_the_figures_are() -> None:
    found = Known(5, 0.3).forecast()
    rows = found.every_subset()
    start = "Perplexity of the answers, "
    kinds = {kind: [row for row in rows if row.how == kind] for kind in ("measured", "foretold")}
    assert title_of(kinds["measured"]) == f"{start}measured on the calibration rows"
    assert title_of(kinds["foretold"]) == f"{start}foretold (~)"
    assert title_of(rows) == f"{start}measured on the calibration rows or foretold (~)"


@pytest.mark.parametrize(("chosen", "left"), [((0, 1, 2, 3), 3), ((0, 1, 2), 0), ((1, 2, 4), 3)])
def test_what_three_do_together_is_left_where_three_of_them_are(
    chosen: tuple[int, ...], left: int
) -> None:
    basis = Basis.of(5, [1, 2, 3, 4], 0)
    among, columns = basis.among(chosen)
    assert len(among.triples) == left
    weights = np.zeros((7, 5))
    weights[:, list(chosen)] = np.random.default_rng(0).random((7, len(chosen)))
    np.testing.assert_allclose(
        among.features(weights[:, list(chosen)]), basis.features(weights)[:, columns]
    )
