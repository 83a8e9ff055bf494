"""Models that PEFT has loaded with several adapters, and what the sum of those is in them.

The oracle is that of `tests.formats.kinds`: PEFT merges each adapter alone into a fresh base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from tests.formats.kinds import (
    Attention,
    Convolutions,
    changes,
    classifier,
    experts,
    gpt2,
    llama,
    make,
    opt,
    outputs,
    plain,
    tied_llama,
    untied,
)  # fmt: skip

Settings = Mapping[str, Any]
Base = Callable[[], Any]

NAMES = ("math", "law", "tax")

BOTH, WEIGHTS = ["math", "law"], [1.0, -0.7]
"""Of the two adapters that `pair` makes, and the sum of them that `right` is."""

_STACKS = {
    "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    "rank_pattern": {"experts.down_proj": 3},
}
_BLOCKS = peft.tuners.lora.BdLoraConfig(
    target_modules_bd_a=["q_proj"], target_modules_bd_b=["o_proj"], nblocks=2
)
_EMBEDDING = {"target_modules": ["embed_tokens", "q_proj"]}
_OVERLAP = {"q_proj": 64, "layers.0.self_attn.q_proj": 4}

# What adapters in one model can be: the base, each one's settings, and the task weights.
KINDS: dict[str, tuple[Base, list[Settings], list[float]]] = {
    "rsLoRA beside patterns whose keys overlap": (
        llama,
        [
            {"use_rslora": True, "r": 6},
            {
                "target_modules": ".*(q_proj|v_proj)",
                "rank_pattern": {"v_proj": 2},
                "alpha_pattern": _OVERLAP,
            },
        ],
        [1.0, -0.7],
    ),
    "three, a list and an expression": (
        llama,
        [{}, {"r": 2, "target_modules": "all-linear"}, {"use_rslora": True}],
        [1.0, -0.7, 0.3],
    ),
    "some layers and excluded ones": (
        llama,
        [
            {"layers_to_transform": [0]},
            {
                "target_modules": ["v_proj", "q_proj"],
                "exclude_modules": ["model.layers.0.self_attn.v_proj"],
            },
        ],
        [1.0, -0.7],
    ),
    "one alone": (llama, [{"use_rslora": True}], [-0.5]),
    "GPT-2's Conv1D": (
        gpt2,
        [
            {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True},
            {"target_modules": ["c_fc"], "use_rslora": True},
        ],
        [1.0, -0.7],
    ),
    "LoRA biases in one": (
        opt, [{"lora_bias": True}, {"target_modules": ["v_proj", "q_proj"]}], [1.0, -0.7]
    ),
    "embedding": (llama, [_EMBEDDING, {**_EMBEDDING, "r": 2}], [1.0, -0.7]),
    "both ends of a tied base": (
        tied_llama, [{"target_modules": ["lm_head"]}, _EMBEDDING], [1.0, -0.7]
    ),
    "both ends tied in one": (
        tied_llama, [{**_EMBEDDING, "ensure_weight_tying": True}], [0.5]
    ),
    "convolutions": (
        lambda: plain(Convolutions),
        [
            {"target_modules": ["one", "two", "three", "linear"], "rank_pattern": {"two": 2}},
            {"target_modules": ["one", "two"], "use_rslora": True},
        ],
        [1.0, -0.7],
    ),
    "attention": (
        lambda: plain(Attention),
        [{"target_modules": ["attention", "linear"]}, {"target_modules": ["attention"], "r": 2}],
        [1.0, -0.7],
    ),
    "experts": (experts, [_STACKS, {**_STACKS, "use_rslora": True}], [1.0, -0.7]),
    "a weight as a parameter": (
        llama,
        [{"target_modules": ["o_proj"], "target_parameters": ["0.self_attn.q_proj.weight"]}, {
            "target_modules": ["v_proj"], "target_parameters": ["0.self_attn.q_proj.weight"]}],
        [1.0, -0.7],
    ),
    "block-diagonal": (
        llama,
        [{"target_modules": ["q_proj", "o_proj"], "use_bdlora": _BLOCKS}, {}],
        [1.0, -0.7],
    ),
    "modules stored whole": (
        llama, [{"modules_to_save": ["lm_head", "norm"]}, {"modules_to_save": ["lm_head"]}],
        [1.0, -0.7],
    ),
    "a module stored whole in one": (llama, [{"modules_to_save": ["lm_head"]}, {}], [0.5, -0.7]),
    "both ends stored whole in one": (
        tied_llama, [{"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}], [0.5]
    ),
    "classifiers": (
        classifier, [{"task_type": "SEQ_CLS"}, {"task_type": "SEQ_CLS", "r": 2}], [1.0, -0.7]
    ),
    "trained rows": (
        llama,
        [{"trainable_token_indices": [5, 3]}, {"trainable_token_indices": [5, 7]}],
        [1.0, -0.7],
    ),
    "trained rows of a tied base": (
        tied_llama,
        [{"trainable_token_indices": {"embed_tokens": [3, 5]}}] * 2,
        [1.0, -0.7],
    ),
    "trained rows in the second": (llama, [{}, {"trainable_token_indices": [5, 3]}], [1.0, -0.7]),
    "trained biases in the first": (opt, [{"bias": "all"}, {}], [1.0, 0.7]),
}  # fmt: skip


def saved(folder: Path, base: Base, settings: Sequence[Settings]) -> list[Path]:
    """Give adapters that PEFT has made, with random values, and saved."""
    paths = [folder / f"adapter-{number}" for number in range(len(settings))]
    for number, (path, own) in enumerate(zip(paths, settings, strict=True)):
        make(path, base(), own, number)
    return paths


def loaded(base: Any, paths: Sequence[Path], names: Sequence[str] = NAMES, **options: Any) -> Any:
    """Give a PeftModel with all of them, the first one active."""
    model = peft.PeftModel.from_pretrained(base, paths[0], adapter_name=names[0], **options)
    for name, path in zip(names[1:], paths[1:], strict=False):
        model.load_adapter(path, adapter_name=name, **options)
    return model


def right_outputs(base: Base, parents: Sequence[tuple[Path, float]]) -> Any:
    """Give what a fresh base with the sum of all changes computes, and what the bare one does."""
    bare = outputs(base())
    if isinstance(base(), Convolutions):  # whose outputs are linear: PEFT merges no groups
        alone = [
            outputs(peft.PeftModel.from_pretrained(base(), path)) - bare for path, _ in parents
        ]
        return bare + sum(w * y for y, (_, w) in zip(alone, parents, strict=True)), bare
    model = untied(base()).double()
    state = dict(model.state_dict())
    for path, weight in parents:
        for name, change in changes(base(), path).items():
            state[name] = state[name] + weight * change
    model.load_state_dict(state)
    return outputs(model), bare


def apart(found: Any, right: Any, bare: Any) -> float:
    """|found - right| / |right - bare|."""
    return float((found - right).norm() / (right - bare).norm())


def snapshot(model: Any) -> Any:
    """Give what adding an adapter must not change: values, what is trained, what is active."""
    return (
        {n: (x.detach().clone(), x.requires_grad) for n, x in model.named_parameters()},
        list(model.active_adapters),
        list(model.peft_config),
        model.training,
    )


def is_as_before(model: Any, before: Any, new: str | None = None) -> bool:
    """Say whether a model is what it was, but for the adapter `new`."""
    tensors, active, names, training = before
    now = dict(model.named_parameters())
    same = all(
        torch.equal(x, now[n]) and now[n].requires_grad is g for n, (x, g) in tensors.items()
    )
    more = [n for n in now if n not in tensors and (new is None or f".{new}" not in n)]
    rest = [n for n in model.peft_config if n != new]
    return same and not more and rest == names and [active, training] == [
        list(model.active_adapters), model.training,
    ]  # fmt: skip
