"""What an image model's own names are in diffusers', and which rows of a fused layer are whose.

Names are flat here: `double_blocks_0_img_attn_qkv`, dots made underscores as kohya does, so that
one table holds for every spelling. What stands on the right is diffusers' dotted name.

Source: diffusers 0.42.1, `loaders/lora_conversion_utils.py`: `_maybe_map_sgm_blocks_to_diffusers`
and `_convert_unet_lora_key` (U-Nets), `_convert_kohya_flux_lora_to_diffusers`,
`_convert_kohya_flux2_lora_to_diffusers`, `_convert_non_diffusers_flux2_lora_to_diffusers`,
`_convert_hunyuan_video_lora_to_diffusers`, `_convert_non_diffusers_wan_lora_to_diffusers`,
`_convert_non_diffusers_z_image_lora_to_diffusers`; of SD3, `loaders/single_file_utils.py`,
`convert_sd3_transformer_checkpoint_to_diffusers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from superpose.names.image_words import dotted


class Rule(NamedTuple):
    """One kind of layer.

    targets: diffusers' names, `{}` for each group of the pattern, with their shares of the rows.
    ratio: out_features over in_features where that tells two architectures apart.
    """

    pattern: re.Pattern[str]
    targets: tuple[tuple[str, int], ...]
    ratio: float | None = None


def _rules(lines: str) -> tuple[Rule, ...]:
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
        found.append(Rule(pattern, tuple(targets), number))
    return tuple(found)


_BFL = """
double_blocks_{}_img_attn_qkv -> transformer_blocks.{}.attn.to_q transformer_blocks.{}.attn.to_k transformer_blocks.{}.attn.to_v
double_blocks_{}_txt_attn_qkv -> transformer_blocks.{}.attn.add_q_proj transformer_blocks.{}.attn.add_k_proj transformer_blocks.{}.attn.add_v_proj
double_blocks_{}_img_attn_proj -> transformer_blocks.{}.attn.to_out.0
double_blocks_{}_txt_attn_proj -> transformer_blocks.{}.attn.to_add_out
double_blocks_{}_img_mlp_(?:0|fc1) 4 -> transformer_blocks.{}.ff.net.0.proj
double_blocks_{}_img_mlp_(?:2|fc2) 0.25 -> transformer_blocks.{}.ff.net.2
double_blocks_{}_txt_mlp_(?:0|fc1) 4 -> transformer_blocks.{}.ff_context.net.0.proj
double_blocks_{}_txt_mlp_(?:2|fc2) 0.25 -> transformer_blocks.{}.ff_context.net.2
double_blocks_{}_img_mod_(?:lin|linear) -> transformer_blocks.{}.norm1.linear
double_blocks_{}_txt_mod_(?:lin|linear) -> transformer_blocks.{}.norm1_context.linear
single_blocks_{}_linear1 7 -> single_transformer_blocks.{}.attn.to_q single_transformer_blocks.{}.attn.to_k single_transformer_blocks.{}.attn.to_v single_transformer_blocks.{}.proj_mlp*4
single_blocks_{}_linear2 0.2 -> single_transformer_blocks.{}.proj_out
single_blocks_{}_modulation_(?:lin|linear) -> single_transformer_blocks.{}.norm.linear
double_blocks_{}_img_mlp_0 6 -> transformer_blocks.{}.ff.linear_in
double_blocks_{}_img_mlp_2 0.3333333333333333 -> transformer_blocks.{}.ff.linear_out
double_blocks_{}_txt_mlp_0 6 -> transformer_blocks.{}.ff_context.linear_in
double_blocks_{}_txt_mlp_2 0.3333333333333333 -> transformer_blocks.{}.ff_context.linear_out
single_blocks_{}_linear1 9 -> single_transformer_blocks.{}.attn.to_qkv_mlp_proj
single_blocks_{}_linear2 0.25 -> single_transformer_blocks.{}.attn.to_out
single_stream_modulation_lin -> single_stream_modulation.linear
double_stream_modulation_img_lin -> double_stream_modulation_img.linear
double_stream_modulation_txt_lin -> double_stream_modulation_txt.linear
img_in -> x_embedder
txt_in -> context_embedder
vector_in_in_layer -> time_text_embed.text_embedder.linear_1
vector_in_out_layer -> time_text_embed.text_embedder.linear_2
final_layer_linear -> proj_out
"""  # noqa: E501

_WAN = """
blocks_{}_self_attn_(q|k|v) -> blocks.{}.attn1.to_{}
blocks_{}_self_attn_o -> blocks.{}.attn1.to_out.0
blocks_{}_cross_attn_(q|k|v) -> blocks.{}.attn2.to_{}
blocks_{}_cross_attn_o -> blocks.{}.attn2.to_out.0
blocks_{}_cross_attn_(k|v)_img -> blocks.{}.attn2.add_{}_proj
blocks_{}_ffn_0 -> blocks.{}.ffn.net.0.proj
blocks_{}_ffn_2 -> blocks.{}.ffn.net.2
time_projection_1 -> condition_embedder.time_proj
head_head -> proj_out
text_embedding_0 -> condition_embedder.text_embedder.linear_1
text_embedding_2 -> condition_embedder.text_embedder.linear_2
time_embedding_0 -> condition_embedder.time_embedder.linear_1
time_embedding_2 -> condition_embedder.time_embedder.linear_2
img_emb_proj_1 -> condition_embedder.image_embedder.ff.net.0.proj
img_emb_proj_3 -> condition_embedder.image_embedder.ff.net.2
"""

_Z_IMAGE = """
(layers|noise_refiner|context_refiner)_{}_attention_qkv 3 -> {}.{}.attention.to_q {}.{}.attention.to_k {}.{}.attention.to_v
(layers|noise_refiner|context_refiner)_{}_attention_out -> {}.{}.attention.to_out.0
(layers|noise_refiner|context_refiner)_{}_feed_forward_w([123]) -> {}.{}.feed_forward.w{}
(layers|noise_refiner|context_refiner)_{}_adaLN_modulation_{} -> {}.{}.adaLN_modulation.{}
"""  # noqa: E501

_SD3 = """
joint_blocks_{}_x_block_(attn2?)_qkv -> transformer_blocks.{}.{}.to_q transformer_blocks.{}.{}.to_k transformer_blocks.{}.{}.to_v
joint_blocks_{}_x_block_(attn2?)_proj -> transformer_blocks.{}.{}.to_out.0
joint_blocks_{}_context_block_attn_qkv -> transformer_blocks.{}.attn.add_q_proj transformer_blocks.{}.attn.add_k_proj transformer_blocks.{}.attn.add_v_proj
joint_blocks_{}_context_block_attn_proj -> transformer_blocks.{}.attn.to_add_out
joint_blocks_{}_x_block_mlp_fc1 -> transformer_blocks.{}.ff.net.0.proj
joint_blocks_{}_x_block_mlp_fc2 -> transformer_blocks.{}.ff.net.2
joint_blocks_{}_context_block_mlp_fc1 -> transformer_blocks.{}.ff_context.net.0.proj
joint_blocks_{}_context_block_mlp_fc2 -> transformer_blocks.{}.ff_context.net.2
joint_blocks_{}_x_block_adaLN_modulation_1 -> transformer_blocks.{}.norm1.linear
joint_blocks_{}_context_block_adaLN_modulation_1 6 -> transformer_blocks.{}.norm1_context.linear
context_embedder -> context_embedder
"""  # noqa: E501

# Numbers of a U-Net's layers are counted through its blocks, three to a block (two of each kind).
_UNET = """
input_blocks_0_0 -> conv_in
out_2 -> conv_out
time_embed_0 -> time_embedding.linear_1
time_embed_2 -> time_embedding.linear_2
label_emb_0_0 -> add_embedding.linear_1
label_emb_0_2 -> add_embedding.linear_2
"""
_RULES = {
    "bfl": _rules(_BFL),
    "wan": _rules(_WAN),
    "z fused": _rules(_Z_IMAGE),
    "joint": _rules(_SD3),
    "sgm": _rules(_UNET),
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


class Family(NamedTuple):
    """One way to call a denoising model's modules. example: for messages."""

    name: str
    pattern: re.Pattern[str]
    example: str


FAMILIES = tuple(
    Family(name, re.compile(pattern), example)
    for name, pattern, example in (
        ("sgm", r"(input_blocks|middle_block|output_blocks)_\d|time_embed_\d|label_emb_0|out_2$",
         "input_blocks"),
        ("unet", r"(down_blocks|mid_block|up_blocks)_|conv_in$|conv_out$|time_embedding_linear|"
         "add_embedding_", "down_blocks"),
        ("bfl", r"(double_blocks|single_blocks)_\d", "double_blocks"),
        ("joint", r"joint_blocks_\d", "joint_blocks"),
        ("transformer", r"(single_)?transformer_blocks_\d", "transformer_blocks"),
        ("wan", r"blocks_\d+_((self|cross)_attn_(q|k|v|o|k_img|v_img)|ffn_[02])$",
         "blocks.0.self_attn.q"),
        ("wan diffusers", r"blocks_\d+_(attn[12]|ffn_net)_", "blocks.0.attn1.to_q"),
        ("anima", r"blocks_\d+_(self|cross)_attn_\w+_proj$", "blocks.0.self_attn.q_proj"),
        ("z fused", r"\w+_\d+_attention_(qkv|out)$", "attention.qkv"),
        ("z", r"\w+_\d+_attention_to_", "attention.to_q"),
        ("lumina", r"(layers|\w+_refiner)_\d+_attn_to_", "layers.0.attn.to_q"),
    )
)  # fmt: skip
"""Tried in this order on a flat name; the first that matches any module of a file is its family."""

SAME_MODEL = {
    "sgm": "unet",
    "bfl": "transformer",
    "joint": "transformer",
    "wan": "wan diffusers",
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
        "save_file({k: v.contiguous() for k, v in f.items()}, "
        'sys.argv[2])" OLD.safetensors NEW.safetensors'
    )


def family_of(names: Iterable[str]) -> str | None:
    """Give the family by which a model's modules are called; None where none of them tells."""
    flat = list(names)
    for family in FAMILIES:
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
    for rule in _RULES[family]:
        match = rule.pattern.fullmatch(flat)
        if match is not None and (rule.ratio is None or _has_ratio(shape, rule.ratio)):
            return _pieces(rule, match.groups(), shape[0])
    return None


def _has_ratio(shape: tuple[int, int], ratio: float) -> bool:
    return abs(shape[0] - ratio * shape[1]) < 1e-9 * shape[0] + 1e-6


def _pieces(rule: Rule, numbers: tuple[str, ...], rows: int) -> tuple[Piece, ...] | None:
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
