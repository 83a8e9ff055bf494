"""The answer-only loss: negative log-likelihood of the answer's tokens given the question.

Only the positions that predict an answer token go through the output head. A hook before
the head picks them, so whatever the model does to its logits afterwards (soft-capping,
scaling) still happens, and any causal language model of transformers can be used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from superpose.measure.batches import Batch

__all__ = ["answer_logits", "answer_loss", "answer_nll", "by_row", "token_nll"]


def answer_logits(
    model: Any, input_ids: torch.Tensor, positions: torch.Tensor, **inputs: Any
) -> torch.Tensor:
    """Logits (N, vocabulary) at the flat `positions` of `input_ids` (rows, tokens).

    model: a transformers causal language model, or a PEFT or accelerate wrapper of one.
    """
    head = _unwrapped(model).get_output_embeddings()

    def pick(_: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = args[0]
        return (hidden.reshape(-1, hidden.shape[-1])[positions][None], *args[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        # Right-padded and causal: without a mask the attention takes its quickest path.
        output = model(input_ids=input_ids, **({"use_cache": False} | inputs))
    finally:
        handle.remove()
    return output.logits[0]


def answer_loss(model: Any, batch: Batch, tokens: torch.Tensor | int | None = None) -> torch.Tensor:
    """Mean negative log-likelihood in nats of the batch's answer tokens, differentiable.

    tokens: divide by this number instead of the batch's own (gradient accumulation).
    """
    logits = answer_logits(model, batch.input_ids, batch.positions)
    total = nn.functional.cross_entropy(logits.float(), batch.labels, reduction="sum")
    return total / (len(batch.labels) if tokens is None else tokens)


def answer_nll(model: Any, batch: Batch, **inputs: Any) -> torch.Tensor:
    """Summed negative log-likelihood (rows,) in nats of each row's answer, in float64.

    inputs: what the model gets besides, such as a cache. Differentiable where gradients are on.
    """
    return by_row(batch, token_nll(model, batch, **inputs))


def token_nll(model: Any, batch: Batch, **inputs: Any) -> torch.Tensor:
    """Negative log-likelihood (N,) in nats of each answer token, in float64; see `answer_nll`."""
    logits = answer_logits(model, batch.input_ids, batch.positions, **inputs)
    return nn.functional.cross_entropy(logits.float(), batch.labels, reduction="none").double()


def by_row(batch: Batch, values: torch.Tensor) -> torch.Tensor:
    """Sum what each answer token has (N,) over each row's: (rows,)."""
    return values.new_zeros(batch.rows).index_add_(0, batch.row, values)


def _unwrapped(model: Any) -> Any:
    """The model itself under accelerate's and torch's distributed wrappers."""
    while isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        model = model.module
    return model
