"""The plain PyTorch loops that training and evaluation are held against.

They are written as one would by hand for this one model: same batches, answer-token logits
alone, no Trainer, no hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.lowrank import dense
from superpose.measure.batches import LengthGroupedSampler, collate, evaluation_batches
from superpose.training.settings import LoraSettings, TrainingSettings

__all__ = ["evaluate_subsets_plainly", "train_plainly"]


def train_plainly(
    base: Any,
    examples: Sequence[Example],
    out: Path,
    lora: LoraSettings,
    training: TrainingSettings,
    seed: int,
) -> int:
    """Train and save one adapter; the number of input tokens, padding included."""
    import peft

    torch.manual_seed(seed)
    adapted = peft.get_peft_model(
        base.model,
        peft.LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.rank,
            lora_alpha=int(lora.alpha),
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets),
        ),
    ).train()
    factors = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(factors, lr=training.learning_rate, weight_decay=0.0)
    order = list(LengthGroupedSampler([e.length for e in examples], training.batch_size, seed))
    steps = range(0, len(order), training.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 - n / len(steps))
    tokens = 0
    for start in steps:
        batch = collate([examples[i] for i in order[start : start + training.batch_size]])
        _nll(base.model, batch).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(factors, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        tokens += batch.input_ids.numel()
    adapted.save_pretrained(str(out), save_embedding_layers=False)
    adapted.unload()
    if hasattr(base.model, "peft_config"):
        del base.model.peft_config
    base.model.eval()
    return tokens


@torch.no_grad()
def evaluate_subsets_plainly(
    model: Any,
    adapters: Sequence[Adapter],
    subsets: Sequence[Sequence[float]],
    examples: Mapping[str, Sequence[Example]],
    batch_tokens: int,
) -> list[float]:
    """Mean nats of every subset on every domain, with the sum merged into the base's weights.

    subsets: task weights (K,). The weights are put back after each subset.
    """
    found = []
    for weights in subsets:
        kept = _merge(model, adapters, weights)
        for rows in examples.values():
            total, tokens = 0.0, 0
            for indices in evaluation_batches(rows, batch_tokens):
                nll = _nll(model, collate([rows[i] for i in indices]))
                total, tokens = total + float(nll.sum()), tokens + len(nll)
            found.append(total / tokens)
        for parameter, before in kept:
            parameter.copy_(before)
    return found


def _nll(model: Any, batch: Any) -> torch.Tensor:
    """Negative log-likelihood of each answer token of a Llama model's batch."""
    hidden = model.model(input_ids=batch.input_ids, use_cache=False).last_hidden_state
    picked = hidden.reshape(-1, hidden.shape[-1])[batch.positions]
    return cross_entropy(model.lm_head(picked), batch.labels, reduction="none")


def _merge(
    model: Any, adapters: Sequence[Adapter], weights: Sequence[float]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Add the weighted deltas to the model's weights; (weight, what it was) of each."""
    kept: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for name, delta in adapter.items() if weight else ():
            parameter = model.get_submodule(name).weight
            kept.setdefault(name, (parameter, parameter.clone()))
            parameter.add_(torch.from_numpy(dense(delta.terms)), alpha=weight)
    return list(kept.values())
