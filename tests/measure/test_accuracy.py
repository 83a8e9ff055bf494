"""Accuracy among choices and exact matches: by hand, and against the definitions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from superpose.data.domain import Row
from superpose.data.prompt import Prompt
from superpose.errors import BadInput
from superpose.measure.choice_score import ChoiceScore, accuracy_figures, choice_score
from superpose.measure.domain_test import DomainTest
from superpose.measure.exact_match import ExactMatch, exact_match, normalised

THREE = ChoiceScore(
    nll=((4.0, 3.0), (2.0, 2.0, 5.0), (6.0, 3.0, 4.0, 9.0)),
    end=((1.5, 0.1), (0.0, 0.0, 0.0), (0.0, 0.0, 2.0, 0.0)),
    tokens=((4, 2), (1, 1, 1), (4, 1, 1, 1)),
    characters=((9, 2), (1, 1, 1), (3, 1, 1, 1)),
    right=(1, 1, 1),
)


def test_the_likeliest_choice_counts_as_a_whole_a_token_and_as_the_harness_counts() -> None:
    assert THREE.hits.tolist() == [True, False, True]  # a tie goes to the first
    assert THREE.token_hits.tolist() == [False, False, False]
    assert (THREE.acc, THREE.acc_norm) == (0.0, 0.0)
    assert THREE.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert THREE.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)


def test_the_union_of_choices_weighs_questions() -> None:
    both = ChoiceScore.union([THREE, THREE])
    assert (both.questions, both.accuracy) == (6, THREE.accuracy)
    assert ExactMatch.union([ExactMatch((True,)), ExactMatch((False, False))]).share == 1 / 3


def test_without_choices_every_figure_is_null_and_with_them_none_is_missing() -> None:
    assert set(accuracy_figures(None, None).values()) == {None}
    figures = accuracy_figures(THREE, ExactMatch((True, False)))
    assert None not in figures.values()
    assert (figures["accuracy"], figures["exact_match"]) == (0.666667, 0.5)


def test_a_score_of_no_or_broken_likelihoods_is_refused() -> None:
    with pytest.raises(BadInput, match="needs questions"):
        ChoiceScore((), (), (), (), ())
    with pytest.raises(BadInput, match="not finite"):
        ChoiceScore(((1.0, float("nan")),), ((0.0, 0.0),), ((1, 1),), ((1, 1),), (0,))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("The  Beatles!", "beatles"),
        ("an apple, a day", "Apple day."),
        ("theory", "theory"),
        ("U.S.", "us"),
    ],
)
def test_answers_are_alike_but_for_case_punctuation_articles_and_white_space(
    said: str, answer: str
) -> None:
    assert normalised(said) == normalised(answer)
    assert normalised(said + " more") != normalised(answer)


def test_an_exact_match_is_what_the_model_says_greedily(tiny_base: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    prompt = Prompt(transformers.AutoTokenizer.from_pretrained(tiny_base), max_tokens=None)
    rows = []
    for question in ("ab", "xy", "abc"):
        ids = list(prompt.question_ids(question))
        for _ in range(5):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        said = prompt.tokenizer.decode(ids[-5:], skip_special_tokens=True).strip()
        rows.append(Row(question, said.splitlines()[0] if said else "nothing"))
    wrong = Row(rows[0].question, rows[0].answer + " no")
    found = exact_match(model, prompt, [*rows, wrong], 5)
    assert found.hits == (True, True, True, False)
    assert exact_match(model, prompt, [Row("ab", "?")], 5).hits == (False,)


def test_a_domains_test_has_what_its_rows_have_and_tells_of_every_step(tiny_base: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    prompt = Prompt(transformers.AutoTokenizer.from_pretrained(tiny_base), max_tokens=None)
    rows = [Row("ab", "c", ("d", "c")), Row("xy", "z")]
    test, steps = DomainTest.of(rows, prompt, said=2), list[int]()
    found = test.score(model, steps.append)
    assert (test.without, sum(steps), test.steps) == (1, 5, 5)
    assert found.choices is not None
    assert found.match is not None
    assert found.choices == choice_score(model, test.choices)
    assert found.choices.nll[0][1] == pytest.approx(found.row_nll[0], abs=1e-4)
    bare = DomainTest.of(rows[1:], prompt).score(model)
    assert (bare.choices, bare.match) == (None, None)
