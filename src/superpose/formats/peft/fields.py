"""Every field of PEFT's LoraConfig, classified once: used, harmless, or refused unless empty.

A test walks `dataclasses.fields(peft.LoraConfig)` against this table, so that a field PEFT adds
cannot pass unnoticed. Behaviour as of peft 0.21.2.
"""

from __future__ import annotations

from collections.abc import Mapping

USED = frozenset(
    {
        "alpha_pattern",
        "base_model_name_or_path",
        "bias",
        "ensure_weight_tying",
        "init_lora_weights",
        "layer_replication",
        "lora_alpha",
        "lora_bias",
        "modules_to_save",
        "peft_type",
        "qalora_group_size",
        "r",
        "rank_pattern",
        "target_modules",
        "target_parameters",
        "trainable_token_indices",
        "use_bdlora",
        "use_dora",
        "use_qalora",
        "use_rslora",
    }
)
"""Read, and checked against the tensors."""

HARMLESS = {
    "auto_mapping": "the base model's class, which a written copy names as well",
    "corda_config": "read only while init_lora_weights is corda, which is refused",
    "eva_config": "chose the initial A, which training has replaced",
    "exclude_modules": "chose target modules; the tensors tell which there are",
    "fan_in_fan_out": "the layout of the base's weight; A and B are stored alike",
    "inference_mode": "whether gradients are kept",
    "layers_pattern": "chose target modules; the tensors tell which there are",
    "layers_to_transform": "chose target modules; the tensors tell which there are",
    "loftq_config": "read only while init_lora_weights is loftq, which is refused",
    "lora_dropout": "acts in training alone",
    "lora_ga_config": "read only while init_lora_weights is lora_ga, which is refused",
    "megatron_config": "how layers are split among processes",
    "megatron_core": "how layers are split among processes",
    "monteclora_config": "a sampler that acts in training alone",
    "peft_version": "who wrote the file",
    "revision": "which version of the base model's files",
    "runtime_config": "where tensors lie at run time",
    "task_type": "which head is put on the base model",
    "velora_config": "saves memory in training; the update is s*B*A all the same",
}
"""Known not to touch the weights, and why."""

REFUSED = {
    "alora_invocation_tokens": "aLoRA acts only after certain tokens, a sum acts on all (serve it "
    "beside the sum)",
    "arrow_config": "Arrow chooses adapters token by token (add those that it chooses from)",
    "kasa_config": "KaSA changes the base model's own weights (superpose extract takes the change "
    "from the model that PEFT merges it into)",
}
"""Refused by name unless empty (null, false, 0, "", [] or {}), and why."""

PLAIN_INITS = frozenset({"gaussian", "orthogonal", "eva", "mica"})
"""Initialisations that leave the base model's weights alone; true, false and null do as well."""

BASE_CHANGING_INITS = ("corda", "loftq", "lora_ga", "olora", "pissa")
"""Initialisations (or their first letters) that moved part of the base's weights into A and B."""


def is_plain_init(value: object) -> bool:
    """Say whether an adapter initialised so is s*B*A on the untouched base model."""
    if isinstance(value, str):
        # PEFT compares these two in lower case, the others as they stand.
        return value in PLAIN_INITS or value.lower() in ("gaussian", "mica")
    return value is None or isinstance(value, bool)


def is_empty(value: object) -> bool:
    """Say whether a field of this value is switched off."""
    return value is None or value is False or value in (0, "") or value in ([], {})


def _init_reason(value: object) -> str | None:
    """Say why an adapter of this `init_lora_weights` is refused; None when it is not."""
    if is_plain_init(value):
        return None
    if isinstance(value, str) and value.lower().startswith(BASE_CHANGING_INITS):
        return (
            f"init_lora_weights is {value!r}: part of the base's weights moved into A and B "
            "(PEFT converts it: save_pretrained(..., path_initial_model_for_weight_conversion=...);"
            " superpose extract takes the change from the model that PEFT merges it into)"
        )
    return f"init_lora_weights is {value!r}, which is unknown"


def refusals(config: Mapping[str, object]) -> list[str]:
    """Give every reason why a configuration cannot be part of a sum; unknown keys apart."""
    reasons = [
        f"{key} is {_shown(config[key])}: {why}"
        for key, why in REFUSED.items()
        if not is_empty(config.get(key))
    ]
    if config.get("bias", "none") not in ("none", "all", "lora_only"):
        reasons.append(f"bias is {_shown(config['bias'])}, which is unknown")
    init = _init_reason(config.get("init_lora_weights", True))
    return reasons + ([init] if init else [])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
