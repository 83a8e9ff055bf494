"""Prompts that begin alike score as they do row by row, with less to go through the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.measure.small_models import gpt2, llama, sliding

from superpose.adapter import Adapter, Delta
from superpose.data.prompt import Example
from superpose.measure.batches import collate
from superpose.measure.evaluate import score
from superpose.measure.loss import answer_nll
from superpose.measure.prefix import shared_prefix
from superpose.model import SuperposedModel


def _examples(seed: int) -> list[Example]:
    """Rows that ask one question of 20 tokens, rows that share 17, and rows that share nothing."""
    rng = np.random.default_rng(seed)

    def some(count: int) -> tuple[int, ...]:
        return tuple(rng.integers(1, 61, count).tolist())

    asked, start = some(20), some(17)
    repeated = [Example(asked, some(n)) for n in (1, 3, 9, 4, 2)]
    alike = [Example(start + some(n), some(n)) for n in (1, 5, 2)]
    return [*repeated, *alike, *(Example(some(n), some(3)) for n in (2, 30, 18))]


@pytest.mark.parametrize("make", [gpt2, llama, sliding])
def test_a_score_is_that_of_each_row_alone(make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model, examples = make().eval(), _examples(1)
    name = next(n for n, m in model.named_modules() if type(m).__name__ in ("Conv1D", "Linear"))
    weight = model.get_submodule(name).weight
    out, into = weight.shape if make is not gpt2 else weight.shape[::-1]
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(out, 2)).astype("f4"), rng.normal(size=(2, into)).astype("f4")
    adapter = Adapter({name: Delta.of(*factors)}, name="a")
    for rows in (examples, examples[:5], examples[5:8]):
        with SuperposedModel(model, [adapter]) as superposed, superposed.at([0.3]) as weighted:
            found = score(weighted, rows).row_nll
            with torch.no_grad():
                alone = [float(answer_nll(weighted, collate([row]))) for row in rows]
        assert found == pytest.approx(alone, rel=1e-5)


def test_what_all_questions_share_is_counted_when_it_is_worth_it() -> None:
    rows = _examples(2)
    assert shared_prefix(rows[:5]) == 19
    assert shared_prefix(rows[5:8]) == 17
    assert shared_prefix(rows[:1]) == 0
    assert shared_prefix(rows) == 0
    assert shared_prefix([Example(row.question[5:], row.answer) for row in rows[:5]]) == 0


def test_a_question_that_several_rows_ask_is_read_once() -> None:
    torch.manual_seed(0)
    model, seen = llama().eval(), []
    rows = _examples(3)[:5]
    model.get_input_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    score(model, rows)
    width = max(len(row.answer) for row in rows)
    assert [tuple(ids.shape) for ids in seen] == [(1, 19), (5, width)]
