"""Likelihoods of choices are those of plain rows, and slopes those of finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.measure.small_models import gpt2, llama, sliding

from superpose.adapter import Adapter, Delta
from superpose.data.choices import ChoiceQuestion
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.landscape.choice_sample import ChoiceSample
from superpose.measure.batches import collate
from superpose.measure.choices import choice_batches, choice_nll, measure_choices, token_counts
from superpose.measure.loss import answer_nll
from superpose.model import SuperposedModel


def _mamba() -> Any:
    """A model without keys and values: every choice is a row of its own."""
    config = transformers.MambaConfig(
        vocab_size=61, hidden_size=32, num_hidden_layers=2, state_size=4
    )
    return transformers.MambaForCausalLM(config)


def _questions(seed: int, lengths: tuple[int, ...] = (9, 1, 9, 12, 30, 10)) -> list[ChoiceQuestion]:
    rng = np.random.default_rng(seed)

    def some(count: int) -> tuple[int, ...]:
        return tuple(rng.integers(1, 61, count).tolist())

    found = []
    for number, length in enumerate(lengths):
        choices = tuple((*some(int(rng.integers(1, 6))), 0) for _ in range(2 + number % 3))
        found.append(ChoiceQuestion(some(length), choices, number % 2, (1,) * len(choices)))
    return found


@pytest.fixture(params=[gpt2, llama, sliding, _mamba])
def superposed(request: pytest.FixtureRequest) -> Iterator[SuperposedModel]:
    """A tiny model with two adapters on two of its layers."""
    torch.manual_seed(0)
    make: Callable[[], Any] = request.param
    model = make().eval()
    layers = [n for n, m in model.named_modules() if type(m).__name__ in ("Conv1D", "Linear")]
    rng = np.random.default_rng(0)

    def delta(name: str) -> Delta:
        out, into = model.get_submodule(name).weight.shape
        out, into = (into, out) if make is gpt2 else (out, into)
        B, A = (rng.normal(size=size).astype("f4") for size in ((out, 2), (2, into)))
        return Delta.of(np.float32(0.3) * B, A)

    chosen = layers[0], layers[-2]
    adapters = [Adapter({n: delta(n) for n in chosen}, name=name) for name in "ab"]
    with SuperposedModel(model, adapters) as found:
        yield found


def _plain(model: Any, question: ChoiceQuestion) -> list[float]:
    rows = [Example(question.question, choice) for choice in question.choices]
    with torch.no_grad():
        return [float(answer_nll(model, collate([row]))) for row in rows]


@pytest.mark.parametrize("batch_tokens", [1, 60, 4096])
def test_every_choice_has_the_likelihood_of_its_own_row(
    superposed: SuperposedModel, batch_tokens: int
) -> None:
    questions = _questions(1)
    with superposed.at([0.3, -0.2]) as weighted:
        found = choice_nll(weighted, questions, batch_tokens=batch_tokens)
        for question, nll, end in zip(questions, *found, strict=True):
            kept = len(question.choices)
            assert nll[:kept] == pytest.approx(_plain(weighted, question), abs=1e-4)
            assert np.isinf(nll[kept:]).all()
            assert np.isinf(end[kept:]).all()
            short = [choice[:-1] for choice in question.choices]
            without = ChoiceQuestion(question.question, tuple(short), 0, (1,) * kept, ended=False)
            assert nll[:kept] - end[:kept] == pytest.approx(_plain(weighted, without), abs=1e-4)
    assert choice_nll(superposed.model, [without]).end[0] == pytest.approx(0)


def test_one_pass_gives_every_question_the_slope_of_its_own_margin(
    superposed: SuperposedModel,
) -> None:
    questions, point, step = _questions(2), np.array([0.2, -0.1]), 3e-3
    found = measure_choices(superposed, questions, [point, [0, 0]])
    around = [point + sign * step * axis for axis in np.eye(2) for sign in (1, -1)]
    values = measure_choices(superposed, questions, around, gradients=False)
    assert np.isnan(values.slope).all()
    differences = (values.margin[0::2] - values.margin[1::2]) / (2 * step)
    assert found.slope[0] == pytest.approx(differences.T, rel=0.01, abs=0.01)
    with superposed.at(point.tolist()) as weighted:
        for index, question in enumerate(questions):
            plain = _plain(weighted, question)
            right = plain.pop(question.right)
            assert found.margin[0, index] == pytest.approx(min(plain) - right, abs=1e-4)
    assert (found.tokens == token_counts(questions)).all()
    assert found.right.tolist() == [question.right for question in questions]


def test_batches_hold_every_question_once_and_like_lengths_together() -> None:
    questions = _questions(3, (20, 200, 21, 20, 198, 20))
    batches = list(choice_batches(questions, 4096))
    assert batches == [[0, 3, 5, 2], [4, 1]]
    assert sorted(i for batch in choice_batches(questions, 1) for i in batch) == list(range(6))


def test_likelihoods_that_are_not_finite_are_refused() -> None:
    nll = np.array([[[1.0, np.inf]]])
    with pytest.raises(BadInput, match="not finite"):
        ChoiceSample(np.zeros((1, 2)), nll, np.zeros((1, 1, 2)), np.array([0]), np.array([[1, 1]]))
