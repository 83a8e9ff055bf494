"""Batches and the answer-only loss, against transformers' own loss over masked labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings, strategies as st

from superpose.data.domain import Row
from superpose.data.prompt import Example, Prompt
from superpose.errors import BadInput
from superpose.measure.batches import LengthGroupedSampler, collate, evaluation_batches
from superpose.measure.evaluate import Score, score
from superpose.measure.loss import answer_loss
from superpose.model import load_base

EXAMPLES = [
    Example((5, 6, 7), (8, 9)),
    Example((1,), (2, 3, 4, 10)),
    Example((9, 9, 9, 9, 9, 9), (1,)),
]


def _reference(model: Any, example: Example) -> float:
    """Summed nats by transformers itself: one unpadded row, question masked with -100."""
    ids = torch.tensor([example.question + example.answer])
    labels = ids.clone()
    labels[0, : len(example.question)] = -100
    with torch.no_grad():
        return float(model(ids, labels=labels).loss) * len(example.answer)


@pytest.fixture(scope="module", params=["llama", "gemma2"])
def model(request: pytest.FixtureRequest) -> Any:
    """Gemma 2 caps its logits after the head: the hook before the head must not lose that."""
    torch.manual_seed(0)
    sizes = {
        "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "vocab_size": 61,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    if request.param == "llama":
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes)).eval()
    config = transformers.Gemma2Config(**sizes, final_logit_softcapping=0.05)
    return transformers.Gemma2ForCausalLM(config).eval()


def test_the_loss_is_that_of_masked_labels(model: Any) -> None:
    wanted = sum(_reference(model, e) for e in EXAMPLES) / sum(len(e.answer) for e in EXAMPLES)
    with torch.no_grad():
        assert float(answer_loss(model, collate(EXAMPLES))) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 8, 100])
def test_a_score_does_not_depend_on_how_rows_are_batched(model: Any, batch_tokens: int) -> None:
    found = score(model, EXAMPLES, batch_tokens=batch_tokens)
    assert found.row_tokens == (2, 4, 1)
    assert found.row_nll == pytest.approx([_reference(model, e) for e in EXAMPLES], rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(sum(found.row_nll) / 7))


def test_the_union_of_scores_weighs_tokens_not_domains() -> None:
    union = Score.union([Score((2.0,), (1,)), Score((3.0, 3.0), (2, 2))])
    assert union.nll == pytest.approx(8 / 5)


def test_a_score_without_rows_is_refused() -> None:
    with pytest.raises(BadInput):
        Score((), ())


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=90),
    size=st.integers(1, 9),
    seed=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_the_sampler_gives_every_row_once_and_the_same_order_again(
    lengths: list[int], size: int, seed: int
) -> None:
    sampler = LengthGroupedSampler(lengths, size, seed)
    first = list(sampler)
    assert sorted(first) == list(range(len(lengths)))
    assert len(sampler) == len(first)
    assert list(sampler) == first


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        sampler = LengthGroupedSampler(range(1, 65), 8, seed)
        sampler.set_epoch(epoch)
        orders.append(tuple(sampler))
    assert len(set(orders)) == 3


def test_batches_of_like_length_waste_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, size=256)
    order = list(LengthGroupedSampler(lengths, 8, seed=0))
    padded = sum(8 * lengths[order[i : i + 8]].max() for i in range(0, 256, 8))
    shuffled = sum(8 * lengths[i : i + 8].max() for i in range(0, 256, 8))
    assert padded < 1.1 * lengths.sum() < shuffled


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_evaluation_batches_hold_every_row_once_within_the_token_budget(
    lengths: list[int], tokens: int
) -> None:
    examples = [Example((1,) * n, (2,)) for n in lengths]
    batches = list(evaluation_batches(examples, tokens))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens


def test_an_answer_is_cut_at_the_length_and_a_long_question_has_no_example(
    tiny_base: Path,
) -> None:
    tokenizer = load_base(tiny_base).tokenizer
    prompt = Prompt(tokenizer, max_tokens=30, template="{question}>")
    whole = prompt.encode(Row("ab", "cd"))
    assert whole is not None
    assert whole.answer[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(whole.question + whole.answer[:-1]) == "ab> cd"
    cut = prompt.encode(Row("a" * 20, "b" * 20))
    assert cut is not None
    assert len(cut.question) + len(cut.answer) == 30
    assert tokenizer.eos_token_id not in cut.answer
    assert prompt.encode(Row("a" * 30, "b")) is None
    assert prompt.fitting([Row("a" * 30, "b"), Row("a", "b")]) == [Row("a", "b")]
    with pytest.raises(BadInput, match="no room within 30 tokens"):
        prompt.encode_all([Row("a" * 30, "b")])


def test_a_template_without_a_question_is_refused(tiny_base: Path) -> None:
    with pytest.raises(BadInput, match=r"has no .question."):
        Prompt(load_base(tiny_base).tokenizer, max_tokens=30, template="Answer:")
