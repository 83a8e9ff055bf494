"""What a file's alpha makes of its factors: by kohya's rule, or by diffusers'.

kohya: scale = alpha / rank in float32, alpha as the file holds it, and 1 where there is none. Its
merge multiplies up @ down, in float32, by the multiplier and then by the scale. Source: sd-scripts,
`networks/merge_lora.py` (merge_to_sd_model) and `networks/lora.py` (LoRAInfModule.merge_to).

diffusers: the configuration of PEFT that lies in the file's metadata as JSON, or alpha / rank in
float64, or 1. Source: diffusers 0.42.1, `utils/peft_utils.py` (get_peft_kwargs).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from superpose.errors import BadInput, Refused, placed
from superpose.files.json_values import json_object
from superpose.formats.expanded import Array
from superpose.formats.image.names import prefix_of
from superpose.formats.peft.config import LoraConfig, parse_config, warn_if_ambiguous
from superpose.formats.peft.fields import is_empty

CONFIGURATION = "lora_adapter_metadata"
"""Key of a file's metadata: JSON, the fields of PEFT's configuration, the component before each."""

# Fields that mean more than up @ down, which superpose reads from a PEFT folder alone.
_ELSEWHERE = (
    ("layer_replication", "the base model's layers are replicated"),
    ("modules_to_save", "whole modules are stored, not changes"),
    ("target_parameters", "the factors belong to stacked expert weights"),
    ("trainable_token_indices", "whole embedding rows are stored, not changes"),
    ("use_bdlora", "one factor is block-diagonal and stored folded"),
    ("use_dora", "DoRA rescales the base model's weight, so that its update is not up * down"),
    ("use_qalora", "the factors are pooled over groups of inputs"),
)


def alpha_of(tensor: Array, name: str) -> float:
    """Give the number that an alpha tensor holds; raises BadInput unless it is one number."""
    if tensor.size != 1:
        raise BadInput(f"tensor `{name}` has shape {tensor.shape}; an alpha is one number")
    alpha = float(tensor.reshape(()).astype(np.float64))
    if alpha == 0.0:
        raise Refused(
            f"tensor `{name}` is 0: kohya's merge makes nothing of such a module, and kohya's "
            "loader takes the rank in its place",
            hint="Nobody can tell which was meant; write the alpha that was trained with.",
        )
    return alpha


def kohya_scale(alpha: float, rank: int) -> float:
    """Give alpha / rank as kohya's tools compute it: both float32, the quotient too."""
    return float(np.float32(alpha) / np.float32(rank))


def configurations(
    metadata: Mapping[str, str],
    modules: Collection[str],
    path: Path,
    ignore_keys: Collection[str] = (),
) -> dict[str, LoraConfig]:
    """Give the configuration of each component (unet, transformer, ...) in a file's metadata.

    modules: that the file holds, with the component in front. ignore_keys: unknown keys to pass
    over. A file of `save_lora_adapter` has no components, neither in its tensors' names nor here:
    its configuration is that of "". Source: diffusers 0.42.1, `loaders/peft.py`.

    Raises BadInput when it is not what diffusers writes, and Refused for what a sum cannot hold.
    """
    text = metadata.get(CONFIGURATION)
    if text is None:
        return {}
    by_component = _by_component(_fields(text, path))
    own: dict[str, list[str]] = {}
    for module in modules:
        component, rest = component_and_rest(module)
        own.setdefault(component, []).append(rest)
    told = by_component.keys() & own.keys()
    if untold := sorted(own.keys() - told) if by_component else []:
        what = ", ".join(f"`{name}.r`" if name else "`r`" for name in sorted(by_component))
        example = own[untold[0]][0]
        raise BadInput(
            f"its metadata `{CONFIGURATION}` ({what}) says nothing of "
            f"`{untold[0] and untold[0] + '.'}{example}`, whose scaling nobody knows then",
            where=path,
            hint="The names in the metadata start with the component that the tensors' names start "
            "with, or neither do.",
        )
    parsed = {}
    for name in sorted(told):
        where = f"{path}, {f'`{name}` of ' if name else ''}{CONFIGURATION}"
        parsed[name] = _parsed(by_component[name], own[name], where, ignore_keys)
    return parsed


def component_and_rest(module: str) -> tuple[str, str]:
    """Give what a dotted name says of its model ("unet", or "" for nothing), and the rest of it."""
    prefix = prefix_of(module)
    return prefix.removesuffix("."), module.removeprefix(prefix)


def _fields(text: str, path: Path) -> dict[str, Any]:
    with placed(path, f"its metadata `{CONFIGURATION}`"):
        return json_object(text.encode("utf-8", "surrogatepass"))


def _by_component(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, value in fields.items():
        component, _, field = key.rpartition(".")
        found.setdefault(component, {})[field] = value
    return found


def _parsed(
    fields: dict[str, Any], modules: list[str], where: str, ignore_keys: Collection[str]
) -> LoraConfig:
    kind = fields.get("peft_type", "LORA")
    config, reasons = parse_config(fields, where, ignore_keys)
    if kind != "LORA":
        reasons = [f"it is of type {kind}"]
    reasons += [
        f"`{key}` is set: {why}" for key, why in _ELSEWHERE if not is_empty(fields.get(key))
    ]
    if reasons:
        raise Refused(f"cannot be part of a sum: {'; '.join(reasons)}", where=where)
    for pattern in (config.rank_pattern, config.alpha_pattern):
        pattern.check_ways(modules, where)
    warn_if_ambiguous(config, modules, where)
    return config
