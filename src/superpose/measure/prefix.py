"""Prompts that begin alike: what they share goes through the model once.

Causal attention lets no token see a later one, so the keys and values of a shared beginning are
those of every row, whatever follows.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers

from superpose.data.prompt import Example
from superpose.measure.batches import collate, evaluation_batches
from superpose.measure.loss import answer_logits, answer_nll

__all__ = ["begun", "keeps_on", "prefix_batches", "prefix_nll", "shared_prefix"]

LEAST = 16
"""Tokens worth a pass of their own."""

ROWS = 4
"""Rows with one question that are worth batches of their own."""


def prefix_batches(examples: Sequence[Example], tokens: int) -> Iterator[list[int]]:
    """Give `evaluation_batches`, with apart those of a question that several rows ask."""
    asked: dict[tuple[int, ...], list[int]] = {}
    for index, example in enumerate(examples):
        asked.setdefault(example.question, []).append(index)
    often = [each for q, each in asked.items() if len(each) >= ROWS and len(q) > LEAST]
    apart = {index for each in often for index in each}
    rest = [index for index in range(len(examples)) if index not in apart]
    for group in (rest, *often):
        for batch in evaluation_batches([examples[i] for i in group], tokens):
            yield [group[i] for i in batch]


def shared_prefix(examples: Sequence[Example]) -> int:
    """Count the tokens that all questions begin with, if it is worth it; 0 if it is not.

    The last token of a question is never among them: it predicts the answer's first.
    """
    first, last = (choose(e.question for e in examples) for choose in (min, max))
    # What the first and the last in order have in common, all in between have.
    unlike = (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    shortest = min(len(example.question) for example in examples)
    count = min(next(unlike, shortest), shortest - 1)
    return count if len(examples) > 1 and count >= LEAST else 0


def prefix_nll(model: Any, examples: Sequence[Example]) -> torch.Tensor:
    """Give each row's summed negative log-likelihood (rows,), as `answer_nll` does of a batch.

    model: at task weights that all rows share.
    """
    count = shared_prefix(examples) if keeps_on(model) else 0
    if not count:
        return answer_nll(model, collate(examples).to(model.device))
    beginning = torch.tensor([examples[0].question[:count]], device=model.device)
    kept = begun(model, beginning, [0] * len(examples))
    rest = [replace(example, question=example.question[count:]) for example in examples]
    return answer_nll(model, collate(rest).to(model.device), **kept)


def begun(model: Any, beginnings: torch.Tensor, rows: Sequence[int]) -> dict[str, Any]:
    """Let beginnings (B, tokens) through a model that `keeps_on`; give what it goes on from.

    rows: for each row that is to follow, the beginning that it goes on from. What comes back goes
    to `answer_nll` beside the rows' other tokens. Differentiable where gradients are on.
    """
    cache = transformers.DynamicCache(config=model.config)
    kept: dict[str, Any] = {str(_cache_word(model)): cache, "use_cache": True}
    nowhere = torch.zeros(1, dtype=torch.int64, device=beginnings.device)
    answer_logits(model, beginnings, nowhere, **kept)
    cache.batch_select_indices(torch.tensor(rows, device=beginnings.device))
    return kept


def keeps_on(model: Any) -> bool:
    """Whether a model can go on from keys and values that it is given."""
    return _cache_word(model) is not None


def _cache_word(model: Any) -> str | None:
    """How a model calls the keys and values it is to go on from; None where it has others."""
    if getattr(model, "_is_stateful", False):
        return None
    # transformers 5.24 renamed it.
    known = inspect.signature(model.forward).parameters
    return next((word for word in ("cache", "past_key_values") if word in known), None)
