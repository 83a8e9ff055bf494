"""Margins meet what was measured, know how unsure they are, and right answers count them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.data.domain import Row
from superpose.errors import BadInput
from superpose.landscape.choice_sample import ChoiceSample
from superpose.landscape.forecast import subsets
from superpose.landscape.margins import Margins
from superpose.landscape.right_answers import RightAnswers
from superpose.landscape.right_table import listed_sums, right_json, right_parts
from superpose.landscape.subsets import design_points
from superpose.shown import Line, Table


class Bent:
    """Q questions whose margins are known: quadratic and a little more, of the domain of `own`."""

    def __init__(self, adapters: int, questions: int, own: int = 0, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.own = own
        self.level = rng.normal(size=questions)
        self.slope = rng.normal(size=(questions, adapters))
        self.bend = rng.normal(size=(questions, adapters, adapters), scale=0.2)

    def margin(self, x: np.ndarray) -> np.ndarray:
        along = self.slope @ x
        return np.asarray(self.level + along + np.sin(along) + (self.bend @ x) @ x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        curved = (self.bend + self.bend.swapaxes(1, 2)) @ x
        return np.asarray(self.slope * (1 + np.cos(self.slope @ x))[:, None] + curved)

    def sample(self, points: np.ndarray, sloped: int) -> ChoiceSample:
        """Measured at `points`, with slopes at the first `sloped`; a third choice is always far."""
        margin = np.array([self.margin(x) for x in points])
        slope = np.full((*margin.shape, points.shape[1]), np.nan)
        for p in range(sloped):
            slope[p] = self.gradient(points[p])
        nll = np.stack([50 + margin, np.full_like(margin, 50), np.full_like(margin, 500)], axis=2)
        right = np.ones(margin.shape[1], dtype=np.int64)
        return ChoiceSample(points, nll, slope, right, np.ones(nll.shape[1:], dtype=np.int64))

    def designed(self) -> ChoiceSample:
        """Measured where a forecast measures."""
        with_slope, plain = design_points(self.own, self.slope.shape[1])
        return self.sample(np.array([*with_slope, *plain]), len(with_slope))

    def answers(self) -> RightAnswers:
        count = self.slope.shape[1]
        rows = [Row(f"q{q}", "b", ("a", "b", "c")) for q in range(len(self.level))]
        names = tuple("uvwxyzab"[:count])
        return RightAnswers(names, names[self.own], self.own, tuple(rows), self.designed())


@given(adapters=st.integers(1, 5), own=st.integers(0, 4), seed=st.integers(0, 2**20))
@settings(max_examples=15, deadline=None)
def test_margins_meet_every_value_and_every_slope_that_was_measured(
    adapters: int, own: int, seed: int
) -> None:
    known = Bent(adapters, 7, own % adapters, seed)
    sample = known.designed()
    found = Margins.fit(sample, known.own)
    assert found.at(sample.points).margin == pytest.approx(sample.margin, abs=1e-6)
    step = 1e-5
    for point in design_points(known.own, adapters)[0]:
        ends = [found.at(point + sign * step * np.eye(adapters)).margin for sign in (1, -1)]
        assert (ends[0] - ends[1]).T / (2 * step) == pytest.approx(known.gradient(point), abs=1e-4)


@pytest.mark.parametrize("adapters", [2, 4, 5])
def test_values_of_every_subset_are_met_without_a_slope(adapters: int) -> None:
    known = Bent(adapters, 9)
    sample = known.sample(np.array([*subsets(adapters)]), 0)
    found = Margins.fit(sample, 0).at(sample.points)
    assert found.margin == pytest.approx(sample.margin, abs=1e-6)


@given(scale=st.floats(1e-3, 1e3), level=st.floats(-50, 50), seed=st.integers(0, 2**20))
@settings(max_examples=8, deadline=None)
def test_nothing_depends_on_what_all_choices_share_nor_probabilities_on_the_unit(
    scale: float, level: float, seed: int
) -> None:
    sample = Bent(3, 6, seed=seed).designed()
    other = ChoiceSample(
        sample.points, scale * (sample.nll + level), scale * sample.slope, sample.right,
        sample.tokens,
    )  # fmt: skip
    points = np.random.default_rng(seed).uniform(0, 1.2, (5, 3))
    one, two = (Margins.fit(of, 0).at(points) for of in (sample, other))
    assert two.margin == pytest.approx(scale * one.margin, rel=1e-4, abs=1e-4 * scale)
    assert two.error == pytest.approx(scale * one.error, rel=1e-4)


@pytest.mark.parametrize("adapters", [3, 4, 6])
def test_between_measured_points_margins_are_off_by_no_more_than_they_say(adapters: int) -> None:
    """With the own adapter at 1 nothing but the polynomial is unsure: sums that hold it."""
    known = Bent(adapters, 300, seed=3)
    found = Margins.fit(known.designed(), 0)
    points = np.random.default_rng(0).uniform(0, 1, (40, adapters))
    points[:, 0] = 1.0
    off = np.array([known.margin(x) for x in points]) - found.at(points).margin
    assert 0.3 < np.sqrt(np.mean((off / found.at(points).error) ** 2)) < 2
    assert np.sqrt(np.mean(off**2)) < 0.25 * np.std([known.margin(x) for x in points])


def test_where_margins_were_measured_right_answers_are_counted() -> None:
    answers = Bent(3, 40).answers()
    for point, margin in zip(answers.sample.points, answers.sample.margin, strict=True):
        found = answers.accuracy(point)
        assert found.measured
        assert found.accuracy == found.positive == np.mean(margin > 0)
        assert found.accuracy_low < found.accuracy < found.accuracy_high


def test_the_share_foretold_is_that_of_the_known_margins_and_its_interval_says_how_sure() -> None:
    known = Bent(5, 400, seed=5)
    answers = known.answers()
    triples = [w for w in subsets(5) if sum(w) == 3 and w[0]]
    for found in answers.accuracies(triples):
        right = np.mean(known.margin(np.array([*found.weights.values()])) > 0)
        assert not found.measured
        assert found.accuracy == pytest.approx(right, abs=0.02)
        counted = np.sqrt(found.accuracy * (1 - found.accuracy) / 400) * 1.96 * 2
        assert found.accuracy_high - found.accuracy_low > counted - 1e-3, (
            "foretold is less sure than counted"
        )


def test_what_breaks_and_what_is_mended_make_up_the_difference() -> None:
    known = Bent(4, 120, own=2, seed=1)
    answers = known.answers()
    for weights in ([1, 1, 1, 1], [0, 1, 1, 1], [0.5, 0.2, 1, 0]):
        breaks, mends = answers.breaks(weights), answers.breaks(answers.alone, weights)
        alone, under = answers.accuracy(answers.alone), answers.accuracy(weights)
        count = 120 * (under.positive - alone.positive)
        assert len(mends) - len(breaks) == pytest.approx(count)
        assert breaks
        sure = [one.probability for one in breaks]
        assert sure == sorted(sure)
        for one in breaks:
            assert one.question == f"q{one.position}"
            assert one.before == pytest.approx(known.margin(answers.alone)[one.position])
            assert one.before > 0 >= one.margin
            assert one.probability <= 0.5
    assert answers.breaks(answers.alone) == ()


def test_rows_are_listed_with_what_breaks_and_the_sum_of_all_is_put_in_words() -> None:
    answers = Bent(3, 30).answers()
    sums = listed_sums(3)
    assert sums == [*subsets(3)]
    tests = {((1.0, 1.0, 0.0), "u"): 0.75}
    written = json.loads(json.dumps(right_json([answers], sums, tests)))
    (one,) = written
    assert (one["domain"], one["adapter"], len(one["questions"])) == ("u", "u", 30)
    assert one["chance"] == pytest.approx(1 / 3)
    for row, weights in zip(one["accuracies"], sums, strict=True):
        assert [*row["weights"].values()] == [*weights]
        assert row["accuracy"] == pytest.approx(answers.accuracy(weights).accuracy)
        broken = [one.position for one in answers.breaks(weights)]
        assert [found["position"] for found in row["breaks"]] == broken
        assert row["test"] == (0.75 if weights == (1, 1, 0) else None)
    table, line = right_parts(written)
    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows][:2] == ["base", "u"]
    assert [not row[1].text.startswith("~") for row in table.rows] == [
        answers.accuracy(weights).measured for weights in sums
    ]
    assert table.rows[sums.index((1, 1, 0))][1].beside.endswith("; test 75")
    all_broken = answers.breaks([1, 1, 1])
    assert isinstance(line, Line)
    assert f"breaks {len(all_broken)} of " in line.strong
    assert f"'{all_broken[0].question}' (b)" in line.text
    assert right_parts([]) == ()


def test_of_many_adapters_few_sums_have_rows() -> None:
    sums = listed_sums(8)
    assert len(sums) == 1 + 8 + 28 + 1
    rows = right_json([Bent(8, 3).answers()], sums)
    assert len(right_parts(rows)[0].rows) == 1 + 8 + 1  # type: ignore[union-attr]


def test_what_does_not_belong_together_is_refused() -> None:
    answers = Bent(2, 4).answers()
    with pytest.raises(BadInput, match=r"^u: 3 questions and 2 adapters, and 4 questions"):
        RightAnswers(answers.adapters, "u", 0, answers.rows[:3], answers.sample)
    with pytest.raises(BadInput, match="2 adapters take as many task weights"):
        answers.accuracy([1, 1, 1])
    with pytest.raises(BadInput, match="not finite"):
        answers.breaks([1, np.nan])


def test_one_right_share_shows_itself() -> None:
    (table,) = Bent(2, 20).answers().accuracy([1, 0.3]).shown()
    assert isinstance(table, Table)
    assert "foretold" in table.title
    assert table.rows[0][1].text == "u"


def test_without_slopes_only_what_was_measured_has_rows() -> None:
    """The sums that hold the own adapter, as where `predict` measures them and foretells none."""
    known = Bent(3, 20, own=1)
    held = [w for w in subsets(3) if w[1] or not any(w)]
    answers = RightAnswers(
        ("u", "v", "w"), "v", 1, tuple(Row(f"q{q}", "b") for q in range(20)),
        known.sample(np.array(held), 0),
    )  # fmt: skip
    assert not answers.foretells
    written = right_json([answers, Bent(3, 20).answers()], listed_sums(3))
    rows = written[0]["accuracies"]
    assert [tuple(row["weights"].values()) for row in rows] == held
    assert all(row["measured"] for row in rows)
    table = right_parts(written)[0]
    assert isinstance(table, Table)
    assert len(table.rows) == 8
    assert sum(row[1].text == "-" for row in table.rows) == 3
    assert "foretold" not in right_parts(written[:1])[0].remark  # type: ignore[union-attr]
