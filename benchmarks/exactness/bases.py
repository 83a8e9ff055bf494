"""Tiny random models, one a kind of base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["BASES", "Base"]


@dataclass(frozen=True)
class Base:
    """make: gives the model, its numbers from torch's seed. auto: the class that reads it again."""

    make: Callable[[], PreTrainedModel]
    auto: str = "AutoModelForCausalLM"


def _llama() -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=False))


def _qwen2() -> PreTrainedModel:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**_SIZES, tie_word_embeddings=False))


def _mixtral() -> PreTrainedModel:
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            **_SIZES, num_local_experts=4, num_experts_per_tok=2, tie_word_embeddings=False
        )
    )


def _qwen3_moe() -> PreTrainedModel:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    return Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            **_SIZES,
            head_dim=8,
            moe_intermediate_size=24,
            num_experts=4,
            num_experts_per_tok=2,
            tie_word_embeddings=False,
        )
    )


def _gpt_oss() -> PreTrainedModel:
    from transformers import GptOssConfig, GptOssForCausalLM

    return GptOssForCausalLM(
        GptOssConfig(
            **_SIZES,
            head_dim=8,
            num_local_experts=4,
            num_experts_per_tok=2,
            tie_word_embeddings=False,
        )
    )


def _gpt2() -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, bos_token_id=1, eos_token_id=2)
    )


def _phi3() -> PreTrainedModel:
    from transformers import Phi3Config, Phi3ForCausalLM

    return Phi3ForCausalLM(Phi3Config(**_SIZES, pad_token_id=0, tie_word_embeddings=False))


def _phi3_split() -> PreTrainedModel:
    """Give the same model as a Llama, as it is also published: its fused layers' rows apart."""
    from transformers import LlamaConfig, LlamaForCausalLM

    fused = _phi3()  # first: its numbers come from the seed
    split = LlamaForCausalLM(
        LlamaConfig(**_SIZES, pad_token_id=0, rms_norm_eps=1e-5, tie_word_embeddings=False)
    )
    rows = {"qkv_proj": (("q_proj", 32), ("k_proj", 16), ("v_proj", 16))}
    rows["gate_up_proj"] = (("gate_proj", 48), ("up_proj", 48))
    weights = {}
    for name, weight in fused.state_dict().items():
        place, dot, layer = name.removesuffix(".weight").rpartition(".")
        parts = rows.get(layer, ((layer, len(weight)),))
        pieces = weight.split([count for _, count in parts])
        weights |= {
            f"{place}{dot}{part}.weight": each
            for (part, _), each in zip(parts, pieces, strict=True)
        }
    split.load_state_dict(weights)
    return split


def _gemma3() -> PreTrainedModel:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = _SIZES | {"head_dim": 8}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config=text,
            vision_config=vision,
            mm_tokens_per_image=1,
            image_token_index=63,
            boi_token_index=61,
            eoi_token_index=62,
        )
    )


def _qwen2_vl() -> PreTrainedModel:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    text = _SIZES | {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 32}
    return Qwen2VLForConditionalGeneration(
        Qwen2VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=63,
            video_token_id=62,
            vision_start_token_id=61,
            vision_end_token_id=60,
        )
    )


_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}

BASES: dict[str, Base] = {
    "llama": Base(_llama),
    "qwen2": Base(_qwen2),
    "mixtral": Base(_mixtral),
    "qwen3_moe": Base(_qwen3_moe),
    "gpt_oss": Base(_gpt_oss),
    "gpt2": Base(_gpt2),
    "phi3": Base(_phi3),
    "phi3, split": Base(_phi3_split),
    "gemma3": Base(_gemma3, "AutoModelForImageTextToText"),
    "qwen2_vl": Base(_qwen2_vl, "AutoModelForImageTextToText"),
}
