"""The sums that are asked for: what two or three adapters are like, and their task weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """One sum.

    name: as the table's row says it. adapters: for each, the arguments of PEFT's LoraConfig that
    differ from rank 4, alpha 8, q_proj and v_proj. weights: task weights; 1 each by default.
    base: which tiny model. base_dtype: of its file. dtype: of the adapters' files. on_disk: keys
    that are changed in the last adapter's configuration after PEFT has written it.
    """

    name: str
    adapters: tuple[Mapping[str, Any], ...]
    weights: tuple[float, ...] = ()
    base: str = "llama"
    base_dtype: str = "float32"
    dtype: str = "float32"
    on_disk: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task_weights(self) -> tuple[float, ...]:
        """The weights, also where they were left out."""
        return self.weights or (1.0,) * len(self.adapters)

    def to_json(self) -> dict[str, Any]:
        """Everything that defines the case, but the seeds, which are its adapters' numbers."""
        return {
            "name": self.name,
            "base": self.base,
            "base_dtype": self.base_dtype,
            "adapters": [dict(each) for each in self.adapters],
            "weights": list(self.task_weights),
            "dtype": self.dtype,
            "on_disk": dict(self.on_disk),
        }


_PLAIN: Mapping[str, Any] = {}
_RS = {"use_rslora": True}
_TOKENS = {"target_modules": ["q_proj"]}
_HEAD = {"modules_to_save": ["lm_head"]}
_EMBEDDING = {"target_modules": ["embed_tokens", "q_proj"]}
_GPT2 = {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}
_SQUARE = {"target_modules": ["attn.c_proj"], "fan_in_fan_out": True}
_EXPERTS = {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]}

CASES: tuple[Case, ...] = (
    Case("plain", (_PLAIN, _PLAIN)),
    Case("three adapters", (_PLAIN, _PLAIN, _PLAIN)),
    Case("weights 0.5 and 0.5", (_PLAIN, _PLAIN), (0.5, 0.5)),
    Case("a negative weight", (_PLAIN, _PLAIN), (1.0, -0.7)),
    Case("different ranks", ({"r": 2}, {"r": 6})),
    Case("different alpha", ({"lora_alpha": 4}, {"lora_alpha": 24})),
    Case("rsLoRA, the first", (_RS, _PLAIN)),
    Case("rsLoRA, the second", (_PLAIN, _RS)),
    Case(
        "rank and alpha patterns",
        ({"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 32}}, _PLAIN),
    ),
    Case(
        "different target modules",
        (_PLAIN, {"target_modules": ["v_proj", "o_proj", "gate_proj", "down_proj"]}),
    ),
    Case("layers_to_transform", ({"layers_to_transform": [0]}, {"layers_to_transform": [0, 1]})),
    Case("exclude_modules", ({"exclude_modules": ["model.layers.0.self_attn.v_proj"]}, _PLAIN)),
    Case("bfloat16 files", (_PLAIN, {"lora_alpha": 12}), dtype="bfloat16"),
    Case("a bfloat16 base", (_PLAIN, {"lora_alpha": 12}), base_dtype="bfloat16"),
    Case("GPT-2's Conv1D", (_GPT2, _GPT2), base="gpt2"),
    Case(
        "square Conv1D, flag wrong on disk",
        (_SQUARE, _SQUARE),
        base="gpt2",
        on_disk={"fan_in_fan_out": False},
    ),
    Case("embedding", (_EMBEDDING, _EMBEDDING)),
    Case("LoRA biases", ({"lora_bias": True}, {"lora_bias": True}), base="qwen2"),
    Case("trained biases", ({"bias": "lora_only"}, _PLAIN), base="qwen2"),
    Case("modules_to_save", (_HEAD, _HEAD)),
    Case("modules_to_save, weights 0.5 and 0.5", (_HEAD, _HEAD), (0.5, 0.5)),
    Case(
        "trainable tokens",
        (
            _TOKENS | {"trainable_token_indices": {"embed_tokens": [3, 5]}},
            _TOKENS | {"trainable_token_indices": {"embed_tokens": [5, 9]}},
        ),
    ),
    Case("experts (target_parameters)", (_EXPERTS, _EXPERTS), base="mixtral"),
    Case("DoRA", ({"use_dora": True}, {"use_dora": True})),
    Case("DoRA and LoRA", ({"use_dora": True}, _PLAIN)),
)
