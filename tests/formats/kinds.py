"""Tiny models with everything that PEFT can put LoRA on, and what PEFT makes of its adapters.

The oracle: PEFT merges each adapter alone into a fresh base; the weighted sum of what that changed,
added to a fresh base, is the model that a written sum has to give when PEFT loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import nn

SMALL = {
    "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 61,
}  # fmt: skip


def llama(**settings: Any) -> Any:
    return seeded(transformers.LlamaForCausalLM, transformers.LlamaConfig(**SMALL, **settings))


def tied_llama() -> Any:
    return llama(tie_word_embeddings=True)


def classifier() -> Any:
    config = transformers.LlamaConfig(**SMALL, num_labels=3, pad_token_id=0)
    return seeded(transformers.LlamaForSequenceClassification, config)


def opt() -> Any:
    config = transformers.OPTConfig(
        num_hidden_layers=1, hidden_size=32, ffn_dim=48, num_attention_heads=4, vocab_size=61,
        max_position_embeddings=32, word_embed_proj_dim=32, dropout=0.0,
    )  # fmt: skip
    return seeded(transformers.OPTForCausalLM, config)


def gpt2() -> Any:
    config = transformers.GPT2Config(
        n_layer=1, n_embd=32, n_head=4, vocab_size=61, n_positions=64,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return seeded(transformers.GPT2LMHeadModel, config)


def experts() -> Any:
    config = transformers.Qwen3MoeConfig(
        **SMALL, moe_intermediate_size=24, num_experts=4, num_experts_per_tok=2, head_dim=8
    )
    model = seeded(transformers.Qwen3MoeForCausalLM, config)
    model.set_experts_implementation("eager")  # the quicker ones take no float64
    return model


class Convolutions(nn.Module):
    """One of each dimension, one of them grouped, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv1d(4, 8, 3)
        self.two = nn.Conv2d(4, 8, 3, groups=2)
        self.three = nn.Conv3d(4, 8, (1, 2, 3))
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = (self.one(x[:, :, 0, 0]), self.two(x[:, :, 0]), self.three(x))
        return torch.cat([*(y.flatten() for y in out), self.linear(x[0, 0, 0]).flatten()])


class Attention(nn.Module):
    """torch's own attention, whose three input projections are one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2)
        self.linear = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed, _ = self.attention(x, x, x)
        return self.linear(mixed)


def plain(kind: type[nn.Module]) -> Any:
    torch.manual_seed(0)
    return kind().eval()


def seeded(kind: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return kind(config).eval()


def make(path: Path, base: Any, settings: Mapping[str, Any], seed: int) -> None:
    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj"], **settings}
    model = peft.get_peft_model(base, peft.LoraConfig(**settings))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                noise = 0.2 * torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise if "lora_" in name else parameter + noise)
    model.save_pretrained(path)


def changes(base: Any, path: Path) -> dict[str, torch.Tensor]:
    """Give what PEFT's merged model has in place of the base's, minus the base's, in float64."""
    base = untied(base).double()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    merged = peft.PeftModel.from_pretrained(base, path).merge_and_unload()
    return {name: tensor - before[name] for name, tensor in merged.state_dict().items()}


def untied(model: Any) -> Any:
    """Give an output layer of its own: PEFT merges a delta of a tied layer into both otherwise."""
    config = getattr(model, "config", None)
    if config is not None and config.tie_word_embeddings and hasattr(model, "lm_head"):
        model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    return model


def outputs(model: Any) -> torch.Tensor:
    """Give what a model computes, in float64: else the forward pass rounds more than the sum."""
    model = model.double().eval()
    with torch.no_grad():
        inner = getattr(model, "base_model", model)
        inner = getattr(inner, "model", inner)
        generator = torch.Generator().manual_seed(5)
        if isinstance(inner, Convolutions):
            return model(torch.randn(2, 4, 3, 5, 8, generator=generator).double())
        if isinstance(inner, Attention):
            return model(torch.randn(6, 2, 16, generator=generator).double())
        tokens = torch.arange(24).reshape(2, 12) % 61
        return model(input_ids=tokens).logits


def distance(base: Callable[[], Any], parents: list[tuple[Path, float]], result: Path) -> float:
    """|PEFT's outputs of the written sum - right| / |right - the base's|."""
    if isinstance(base(), Convolutions):
        return of_linear_outputs(base, parents, result)
    right = untied(base())
    state = {name: tensor.double() for name, tensor in right.state_dict().items()}
    for path, weight in parents:
        for name, change in changes(base(), path).items():
            state[name] = state[name] + weight * change
    bare = outputs(base())
    right.double().load_state_dict(state)
    ours = outputs(peft.PeftModel.from_pretrained(base(), result))
    expected = outputs(right)
    return float((ours - expected).norm() / (expected - bare).norm())


def of_linear_outputs(
    base: Callable[[], Any], parents: list[tuple[Path, float]], result: Path
) -> float:
    """The same where outputs are linear in the weights: PEFT merges no grouped convolution."""
    bare = outputs(base())
    ours, *alone = (
        outputs(peft.PeftModel.from_pretrained(base(), path)) - bare
        for path in (result, *(path for path, _ in parents))
    )
    expected = sum(weight * y for y, (_, weight) in zip(alone, parents, strict=True))
    return float((ours - expected).norm() / expected.norm())


CLOSE = 1e-5
"""A result in float32 against the sum in float64."""

quietly = pytest.mark.filterwarnings("ignore")
"""PEFT warns of tied layers, of merging and of saved embeddings; transformers of its heads."""
