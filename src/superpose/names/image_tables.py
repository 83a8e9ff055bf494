"""The ways in which image models' modules are called: which one a file has, and what each means.

Names are flat here: `double_blocks_0_img_attn_qkv`, dots made underscores as kohya does, so that
one table holds for every spelling. U-Nets: diffusers 0.42.1, `loaders/lora_conversion_utils.py`,
`_maybe_map_sgm_blocks_to_diffusers` and `_convert_unet_lora_key`; the others: `image_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from superpose.names import image_rules
from superpose.names.image_words import dotted


class LayerRule(NamedTuple):
    """One kind of layer.

    targets: diffusers' names, `{}` for each group of the pattern, with their shares of the rows.
    ratio: out_features over in_features where that tells two architectures apart.
    """

    pattern: re.Pattern[str]
    targets: tuple[tuple[str, int], ...]
    ratio: float | None = None


def _rules(lines: str) -> tuple[LayerRule, ...]:
    """Read `flat name [ratio] -> target [target...]`; `name*4` has four shares of the rows."""
    found = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        left, right = line.split(" -> ")
        name, _, ratio = left.partition(" ")
        targets = []
        for word in right.split():
            target, _, share = word.partition("*")
            targets.append((target, int(share or 1)))
        pattern = re.compile(name.replace("{}", r"(\d+)"))
        number = float(ratio) if ratio else None
        found.append(LayerRule(pattern, tuple(targets), number))
    return tuple(found)


_RULES = {
    "bfl": _rules(image_rules.BFL),
    "wan": _rules(image_rules.WAN),
    "z fused": _rules(image_rules.Z_IMAGE),
    "joint": _rules(image_rules.SD3),
    "anima": _rules(image_rules.ANIMA),
    "krea": _rules(image_rules.KREA),
    "ace": _rules(image_rules.ACE_STEP),
    "ltx": _rules(image_rules.LTX),
    "sgm": _rules(image_rules.UNET),
}

_BLOCK = re.compile(r"(input|output)_blocks_(\d+)_(\d+)_(.+)")
_MIDDLE = re.compile(r"middle_block_([012])_(.+)")
_RESNET = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
    "in_layers_0": "norm1",
    "out_layers_0": "norm2",
}
_A_BLOCK = 3


class ImageFamily(NamedTuple):
    """One way to call a denoising model's modules. example: for messages."""

    name: str
    pattern: re.Pattern[str]
    example: str


IMAGE_FAMILIES = tuple(
    ImageFamily(name, re.compile(pattern), example)
    for name, pattern, example in (
        ("sgm", r"(input_blocks|middle_block|output_blocks)_\d|time_embed_\d|label_emb_0|out_2$",
         "input_blocks"),
        ("unet", r"(down_blocks|mid_block|up_blocks)_|conv_in$|conv_out$|time_embedding_linear|"
         "add_embedding_", "down_blocks"),
        ("bfl", r"(double_blocks|single_blocks)_\d", "double_blocks"),
        ("joint", r"joint_blocks_\d", "joint_blocks"),
        ("ltx", r"(audio_)?patchify_proj$|av_ca_|(audio_|prompt_|audio_prompt_)adaln_single_",
         "patchify_proj"),
        ("transformer", r"(single_)?transformer_blocks_\d", "transformer_blocks"),
        ("wan", r"blocks_\d+_((self|cross)_attn_(q|k|v|o|k_img|v_img)|ffn_[02])$",
         "blocks.0.self_attn.q"),
        ("wan diffusers", r"blocks_\d+_(attn[12]|ffn_net)_", "blocks.0.attn1.to_q"),
        ("anima", r"blocks_\d+_(self|cross)_attn_\w+_proj$", "blocks.0.self_attn.q_proj"),
        ("krea", r"blocks_\d+_(attn_w[qkvo]|attn_gate|mlp_(gate|up|down))$|txtfusion_",
         "blocks.0.attn.wq"),
        ("minimax", r"(token_refiner_)?blocks_\d+_attn_(qkv|out)_proj$", "blocks.0.attn.qkv_proj"),
        ("ace", r"layers_\d+_(self|cross)_attn_[qkvo]_proj$", "layers.0.self_attn.q_proj"),
        ("ace diffusers", r"layers_\d+_(self|cross)_attn_to_", "layers.0.self_attn.to_q"),
        ("z fused", r"\w+_\d+_attention_(qkv|out|o)$", "attention.qkv"),
        ("z", r"\w+_\d+_attention_to_", "attention.to_q"),
        ("lumina", r"(layers|\w+_refiner)_\d+_attn_to_", "layers.0.attn.to_q"),
    )
)  # fmt: skip
"""Tried in this order on a flat name; the first that matches any module of a file is its family."""

SAME_MODEL = {
    "sgm": "unet",
    "bfl": "transformer",
    "joint": "transformer",
    "ltx": "transformer",
    "anima": "transformer",
    "krea": "transformer",
    "wan": "wan diffusers",
    "ace": "ace diffusers",
    "z fused": "z",
}
"""Families that are translated, and into which of diffusers'."""

OF_DIFFUSERS = frozenset({*SAME_MODEL.values(), "lumina"})
"""Families of names that are diffusers'."""

LOADERS = {
    ("bfl", "transformer"): "Flux",
    ("wan", "wan diffusers"): "Wan",
    ("z fused", "z"): "ZImage",
    ("z fused", "lumina"): "Lumina2",
    ("anima", "transformer"): "Anima",
    ("krea", "transformer"): "Krea2",
    ("ltx", "transformer"): "LTX2",
    ("minimax", "transformer"): "MiniMaxH3",
    ("ace", "ace diffusers"): "AceStep",
}
"""Families that may be one of diffusers': whose loader makes them that."""


def converter(loader: str) -> str:
    """Give the way out for a file that is not translated: diffusers' loader does it."""
    return (
        f"diffusers' loader of the model gives diffusers' names ({loader}LoraLoaderMixin, or the "
        "model's own); convert the file that has the others once:\n"
        '  python -c "import sys; from safetensors.torch import load_file, save_file; '
        f"from diffusers.loaders.lora_pipeline import {loader}LoraLoaderMixin as M; "
        "f = M.lora_state_dict(load_file(sys.argv[1])); "
        "save_file({k: v.contiguous().clone() for k, v in f.items()}, "
        'sys.argv[2])" OLD.safetensors NEW.safetensors'
    )


def family_of(names: Iterable[str]) -> str | None:
    """Give the family by which a model's modules are called; None where none of them tells."""
    flat = list(names)
    for family in IMAGE_FAMILIES:
        if any(family.pattern.match(name) for name in flat):
            return family.name
    return None


class Piece(NamedTuple):
    """A layer of diffusers', dotted, and its rows of the original: first and end, None for all."""

    name: str
    rows: tuple[int, int] | None = None


def translated(family: str, flat: str, shape: tuple[int, int]) -> tuple[Piece, ...] | None:
    """Give diffusers' layers for a family's layer of this shape (out, in); None for an unknown."""
    if family == "sgm" and (name := _unet_name(flat)) is not None:
        return (Piece(name),)
    if family == "ltx" and not any(rule.pattern.fullmatch(flat) for rule in _RULES[family]):
        path = dotted(flat)  # the other names are diffusers' as well
        return None if path is None else (Piece(path),)
    for rule in _RULES[family]:
        match = rule.pattern.fullmatch(flat)
        if match is not None and (rule.ratio is None or _has_ratio(shape, rule.ratio)):
            return _pieces(rule, match.groups(), shape[0])
    return None


def _has_ratio(shape: tuple[int, int], ratio: float) -> bool:
    return abs(shape[0] - ratio * shape[1]) < 1e-9 * shape[0] + 1e-6


def _pieces(rule: LayerRule, numbers: tuple[str, ...], rows: int) -> tuple[Piece, ...] | None:
    names = [target.format(*numbers) for target, _ in rule.targets]
    shares = [share for _, share in rule.targets]
    if len(names) == 1:
        return (Piece(names[0]),)
    one, left = divmod(rows, sum(shares))
    if left:
        return None
    ends = [one * sum(shares[: i + 1]) for i in range(len(shares))]
    starts = [0, *ends[:-1]]
    return tuple(Piece(n, (a, b)) for n, a, b in zip(names, starts, ends, strict=True))


def _unet_name(flat: str) -> str | None:
    if match := _MIDDLE.fullmatch(flat):
        kind = ("resnets.0", "attentions.0", "resnets.1")[int(match[1])]
        return _inside(f"mid_block.{kind}", match[2], attention=match[1] == "1")
    match = _BLOCK.fullmatch(flat)
    if match is None or flat.startswith("input_blocks_0_"):
        return None
    side, number, inner, rest = match[1], int(match[2]), int(match[3]), match[4]
    block, layer = divmod(number - (side == "input"), _A_BLOCK)
    stem = f"{'down' if side == 'input' else 'up'}_blocks.{block}"
    if rest == "op":
        return f"{stem}.downsamplers.0.conv"
    if rest == "conv":
        return f"{stem}.upsamplers.0.conv"
    kind = "attentions" if inner == 1 else "resnets"
    return _inside(f"{stem}.{kind}.{layer}", rest, attention=inner == 1)


def _inside(stem: str, rest: str, *, attention: bool) -> str | None:
    if not attention:
        return f"{stem}.{_RESNET[rest]}" if rest in _RESNET else None
    inner = dotted(rest)
    return None if inner is None else f"{stem}.{inner}"
