"""What the tensors of an image LoRA are called: module and role, in every spelling there is.

A name is parsed from its end. kohya: `lora_unet_..._to_q.lora_down.weight`, the module's dots made
underscores. diffusers: `unet....to_q.lora_A.weight` since 2023, before that
`.to_q.lora.down.weight`, `.q_proj.lora_linear_layer.down.weight` and, first of all,
`.attn1.processor.to_q_lora.down.weight`. Source: sd-scripts, `networks/lora.py`; diffusers 0.42.1,
`utils/state_dict_utils.py`; LyCORIS 4.1.3, `weight_list` of its modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from superpose.formats.hadamard import HADAMARD
from superpose.formats.kronecker import KRONECKER
from superpose.names.image import image_name, is_kohya

DIFFERENCES = ("diff", "diff_b", "w_norm", "b_norm", "diff_m")
"""Roles of what is stored as a whole difference: of a weight, a bias, a norm's weight and bias, and
of a block's modulation (Wan)."""

# How the two factors end, by spelling; `mid` is LoCon's, and only the first spelling has one.
_ENDINGS = {
    "lora_down": (".lora_down.weight", ".lora_up.weight"),
    "lora_A": (".lora_A.weight", ".lora_B.weight"),
    "lora_A.default": (".lora_A.default.weight", ".lora_B.default.weight"),
    "lora.down": (".lora.down.weight", ".lora.up.weight"),
    "lora_linear_layer": (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
}
_ATTENTION = re.compile(
    r"(?P<stem>.+?)(?P<processor>\.processor)?\.to_(?P<part>q|k|v|out)_lora\."
    r"(?P<side>down|up)\.weight"
)
_ROLES = {
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    ".lora_B.bias": "bias",
    **{f".{name}": name for name in (*HADAMARD, *KRONECKER, *DIFFERENCES)},
}
_TEXT = re.compile(r"(.+\.self_attn)\.(q|k|v|out)_proj")
_UNET = re.compile(r"(.+)\.to_(q|k|v|out\.0)")

_SCHEMES = {
    "lora_unet_input_blocks_...": re.compile(
        r"lora_unet_(input_blocks|middle_block|output_blocks)_.*"
    ),
    "lora_unet_down_blocks_...": re.compile(r"lora_unet_(down_blocks|mid_block|up_blocks)_.*"),
}
"""Ways to call a UNet's modules: by the original model's blocks, and by diffusers'."""


class ImageTensor(NamedTuple):
    """A tensor's place in a file. role: "down", "up" or a value of the table above.

    spelling: of a factor, what the other names of its module are like; None for the rest.
    """

    module: str
    role: str
    spelling: str | None = None


def parse_image_tensor(name: str) -> ImageTensor | None:
    """Say what a tensor is; None for what is no part of a LoRA."""
    for spelling, endings in _ENDINGS.items():
        for role, ending in zip(("down", "up"), endings, strict=True):
            if name.endswith(ending) and name != ending:
                return ImageTensor(name.removesuffix(ending), role, spelling)
    if match := _ATTENTION.fullmatch(name):
        text = match["processor"] is None and match["stem"].endswith("self_attn")
        part = f"{match['part']}_proj" if text else f"to_{match['part']}"
        module = f"{match['stem']}.{part}".replace(".to_out", ".to_out.0")
        return ImageTensor(module, match["side"], "to_q_lora")
    for ending, role in _ROLES.items():
        if name.endswith(ending) and name != ending:
            return ImageTensor(name.removesuffix(ending), role)
    return None


def image_factor_name(module: str, side: str, spellings: Mapping[str, str]) -> str:
    """Give the name of a module's factor. side: "down" or "up". spellings: by `sort_of` module."""
    spelling = spellings.get(sort_of(module), _usual(module))
    if spelling == "to_q_lora":
        return _attention_name(module, side)
    return module + _ENDINGS[spelling][side == "up"]


def sort_of(module: str) -> str:
    """Give what kind of name a module has; a file spells all of one kind alike."""
    attention = _TEXT.fullmatch(module) or _UNET.fullmatch(module)
    return f"{component_of(module)} attention" if attention else component_of(module)


def component_of(module: str) -> str:
    """Give the model that a module belongs to, the same in every spelling: see `names.image`."""
    return image_name(module).component


def prefix_of(module: str) -> str:
    """Give what a dotted name says of its model: `unet.`, `text_encoder_2.`, nothing."""
    return image_name(module).prefix.removesuffix("text_model.")


def schemes_of(modules: Iterable[str]) -> list[str]:
    """Give the ways in which these modules of a UNet are called, by an example of each."""
    names = list(modules)
    return [way for way, scheme in _SCHEMES.items() if any(map(scheme.fullmatch, names))]


def _usual(module: str) -> str:
    return "lora_down" if is_kohya(module) else "lora_A"


def _attention_name(module: str, side: str) -> str:
    if match := _TEXT.fullmatch(module):
        return f"{match[1]}.to_{match[2]}_lora.{side}.weight"
    match = _UNET.fullmatch(module)
    assert match is not None, module
    return f"{match[1]}.processor.to_{match[2].removesuffix('.0')}_lora.{side}.weight"
