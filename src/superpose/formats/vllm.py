"""What vLLM serves: its rules for an adapter, and what it has to be told.

Source: vLLM 0.33.0, lora/peft_helper.py (`validate_legal`), lora/lora_model.py, lora/utils.py and
config/lora.py. Where versions differ, the narrower rule counts: up to 0.26 patterns were not read,
and no version refuses what it does not know, so an adapter would be served wrong, not refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from superpose.adapter import is_head
from superpose.errors import Refused, bullets
from superpose.formats.peft.fields import is_empty, is_plain_init
from superpose.formats.peft.keys import PREFIX

VLLM_DEFAULT_RANK = 16
"""The largest rank that vLLM serves when nothing is said."""

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` takes; an adapter may have any rank up to it."""

_LARGEST_VOCABULARY = 257_024
"""Rows of an output layer with LoRA; 258,048 in the newest versions."""

_REFUSED = {
    "modules_to_save": "whole modules; only the newest versions take a classifier's head",
    "use_dora": "DoRA",
    "lora_bias": "biases of LoRA factors",
    "alora_invocation_tokens": "aLoRA",
    "layer_replication": "replicated layers",
    "use_bdlora": "block-diagonal factors",
    "use_qalora": "QA-LoRA",
    "trainable_token_indices": "trained token rows",
    "rank_pattern": "ranks that differ; versions up to 0.26 do not read them",
    "alpha_pattern": "scalings that differ; versions up to 0.26 do not read them",
}
_FACTOR = re.compile(r"(?P<module>.+)\.(lora_[AB]\.weight|lora_embedding_[AB])")
_COPY = re.compile(r".*\.(embed_tokens|lm_head)\.base_layer\.weight")


def vllm_max_rank(rank: int) -> int | None:
    """Give the least `--max-lora-rank` that serves an adapter of this rank; None: no value does."""
    return next((value for value in VLLM_RANKS if value >= rank), None)


def check_for_vllm(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Let an adapter pass that every version of vLLM serves as PEFT computes it.

    config: of adapter_config.json. shapes: of the file's tensors, by name. Which layers vLLM puts
    LoRA on depends on the model, and is not looked at.

    Raises Refused with every reason.
    """
    reasons = [*_settings(config), *_tensors(shapes)]
    if reasons:
        raise Refused(
            f"vLLM would not serve this sum, or not as it is:{bullets(reasons)}",
            where="--for vllm",
            hint="superpose bake BASE ADAPTERS writes a model of its own, which vLLM serves.",
        )


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for field in ("r", "lora_alpha", "target_modules"):
        if field not in config:
            yield f"{field} is missing"
    if config.get("r", 1) > VLLM_RANKS[-1]:
        yield f"r is {config['r']}; at most {VLLM_RANKS[-1]} is served"
    if config.get("bias", "none") != "none":
        yield f"bias is {config['bias']!r}; biases are not served"
    for field, what in _REFUSED.items():
        if not is_empty(config.get(field)):
            yield f"{field}: {what}"
    for parameter in config.get("target_parameters") or ():
        if parameter.endswith(".weight"):
            yield f"target_parameters: `{parameter}` is changed as a parameter, not as its layer"
    init = config.get("init_lora_weights", True)
    if not is_plain_init(init):
        yield f"init_lora_weights is {init!r}, which changed the base model"


def _tensors(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    modules: set[str] = set()
    for name, shape in shapes.items():
        if _COPY.fullmatch(name):
            continue  # vLLM passes the base's own tensors over
        factor = _FACTOR.fullmatch(name)
        if factor is None:
            head = is_head(name.removeprefix(PREFIX))
            out = ", but a head: --heads none leaves it out" if head else ""
            yield f"tensor `{name}` is no factor that vLLM knows{out}"
            continue
        module = factor["module"]
        modules.add(module)
        if len(shape) != 2:
            yield f"tensor `{name}` has {len(shape)} dimensions; convolutions are not served"
        if name.endswith("lm_head.lora_B.weight") and shape[0] > _LARGEST_VOCABULARY:
            yield f"`lm_head` has {shape[0]:,} rows; at most {_LARGEST_VOCABULARY:,} are served"
    yield from _nested(modules)


def _nested(modules: set[str]) -> Iterator[str]:
    """What stands in a stack of experts or in an attention layer has names of PEFT's own."""
    for module in sorted(modules):
        outer = module.removesuffix(".base_layer")
        if module.endswith(".experts") or outer.endswith(".experts"):
            if not {outer, f"{outer}.base_layer"} <= modules:
                yield f"`{outer}`: experts are served with factors for gate_up and down, not one"
        elif ".base_layer" in module:
            yield f"`{module}` stands inside a wrapped layer, which vLLM would pass over"
