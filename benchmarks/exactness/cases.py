"""The sums that are asked for: what two or three adapters are like, and their task weights.

In three groups: what adapters can be; one weight that two adapters call by two names; and a part
that a file has lost, so that nobody can write the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "GROUPS", "Case"]

GROUPS = ("kinds of adapters", "one weight, two names", "a part is lost")


@dataclass(frozen=True)
class Case:
    """One sum.

    name: as the table's row says it. adapters: for each, the arguments of PEFT's LoraConfig that
    differ from rank 4, alpha 8, q_proj and v_proj. weights: task weights; 1 each by default.
    base: which tiny model. base_dtype: of its file. dtype: of the adapters' files. on_disk: keys
    that are changed in the last adapter's configuration after PEFT has written it. group: one of
    GROUPS. hosts: for each adapter what it is trained on, the base itself (""), the base without
    its head ("bare") or the same model with its fused layers split ("split"). spellings: for each
    adapter a name in SPELLINGS, or "" where it stays as PEFT wrote it.
    """

    name: str
    adapters: tuple[Mapping[str, Any], ...]
    weights: tuple[float, ...] = ()
    base: str = "llama"
    base_dtype: str = "float32"
    dtype: str = "float32"
    on_disk: Mapping[str, Any] = field(default_factory=dict)
    group: str = GROUPS[0]
    hosts: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()

    @property
    def task_weights(self) -> tuple[float, ...]:
        """The weights, also where they were left out."""
        return self.weights or (1.0,) * len(self.adapters)

    def host(self, number: int) -> str:
        """What an adapter is trained on."""
        return self.hosts[number] if self.hosts else ""

    def spelling(self, number: int) -> str:
        """How an adapter is respelled."""
        return self.spellings[number] if self.spellings else ""

    def to_json(self) -> dict[str, Any]:
        """Everything that defines the case, but the seeds, which are its adapters' numbers."""
        return {
            "name": self.name,
            "group": self.group,
            "base": self.base,
            "base_dtype": self.base_dtype,
            "adapters": [dict(each) for each in self.adapters],
            "weights": list(self.task_weights),
            "dtype": self.dtype,
            "on_disk": dict(self.on_disk),
            "hosts": list(self.hosts),
            "spellings": list(self.spellings),
        }


_PLAIN: Mapping[str, Any] = {}
_RS = {"use_rslora": True}
_TOKENS = {"target_modules": ["q_proj"]}
_HEAD = {"modules_to_save": ["lm_head"]}
_EMBEDDING = {"target_modules": ["embed_tokens", "q_proj"]}
_GPT2 = {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}
_SQUARE = {"target_modules": ["attn.c_proj"], "fan_in_fan_out": True}
_EXPERTS = {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]}

_KINDS: tuple[Case, ...] = (
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

_STACKS = {
    "target_modules": [],
    "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
}
_LANGUAGE = {"target_modules": r".*language_model.*(q_proj|v_proj)"}
_FUSED = {"target_modules": ["qkv_proj", "gate_up_proj"]}
_SPLIT = {"target_modules": ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"]}


def _spelled(name: str, spelling: str, settings: Mapping[str, Any], base: str = "llama") -> Case:
    """Give a case of two like adapters of which the first is respelled."""
    return Case(name, (settings, settings), base=base, group=GROUPS[1], spellings=(spelling, ""))


_NAMES: tuple[Case, ...] = (
    Case("with a head, and without", (_PLAIN, _PLAIN), group=GROUPS[1], hosts=("", "bare")),
    Case("without a head, and with one", (_PLAIN, _PLAIN), group=GROUPS[1], hosts=("bare", "")),
    Case(
        "GPT-2 with a head, and without",
        (_GPT2, _GPT2),
        base="gpt2",
        group=GROUPS[1],
        hosts=("", "bare"),
    ),
    _spelled(
        "Gemma 3 by transformers 4.51, and today's",
        "language_model.model. as in 4.51",
        _LANGUAGE,
        "gemma3",
    ),
    _spelled(
        "Qwen2-VL by transformers 4.51, and today's", "model. as in 4.51", _LANGUAGE, "qwen2_vl"
    ),
    _spelled("compiled, and not", "torch.compile's _orig_mod. inside", _PLAIN),
    _spelled("DataParallel, and not", "DataParallel's module. inside", _PLAIN),
    _spelled(
        "FSDP with checkpointing, and not", "FSDP's and checkpointing's wrappers inside", _PLAIN
    ),
    _spelled("a PeftModel in a PeftModel, and not", "PEFT's prefix twice", _PLAIN),
    Case(
        "three names of one weight",
        (_PLAIN, {"r": 2}, {"use_rslora": True}),
        (1.0, -0.5, 0.25),
        group=GROUPS[1],
        hosts=("", "bare", ""),
        spellings=("", "", "torch.compile's _orig_mod. inside"),
    ),
    Case("fused, and split", (_FUSED, _SPLIT), base="phi3", group=GROUPS[1], hosts=("", "split")),
    Case("split, and fused", (_SPLIT, _FUSED), base="phi3", group=GROUPS[1], hosts=("split", "")),
    _spelled(
        "Mixtral's experts a layer each, and stacked",
        "experts w1, w2, w3 each",
        _STACKS,
        "mixtral",
    ),
    _spelled(
        "Qwen3-MoE's experts a layer each, and stacked",
        "experts gate_proj, up_proj, down_proj each",
        _STACKS,
        "qwen3_moe",
    ),
    _spelled(
        "gpt-oss's experts a layer each, and stacked",
        "experts gate_up_projs.N and down_projs.N",
        _STACKS,
        "gpt_oss",
    ),
)


def _lost(spelling: str, settings: Mapping[str, Any]) -> Case:
    return Case(spelling, (_PLAIN, settings), group=GROUPS[2], spellings=("", spelling))


_LOST: tuple[Case, ...] = (
    _lost("a head of shape (0,)", _HEAD),
    _lost("a head of shape (0, 32)", _HEAD),
    _lost("a factor of shape (0,)", _PLAIN),
)

CASES = (*_KINDS, *_NAMES, *_LOST)
