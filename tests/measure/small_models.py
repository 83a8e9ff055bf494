"""Small models of several kinds, with random weights."""

from __future__ import annotations

from typing import Any

import transformers

__all__ = ["gpt2", "llama", "sliding"]

_SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def gpt2() -> Any:
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**_SMALL))


def llama() -> Any:
    config = transformers.LlamaConfig(**_SMALL, intermediate_size=48, num_key_value_heads=2)
    return transformers.LlamaForCausalLM(config)


def sliding() -> Any:
    """Attention to the last six tokens alone: fewer than the shared ones."""
    config = transformers.MistralConfig(
        **_SMALL, intermediate_size=48, num_key_value_heads=2, sliding_window=6
    )
    return transformers.MistralForCausalLM(config)
