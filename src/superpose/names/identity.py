"""What a weight is, whatever a file calls it: its name without what only says where it was seen.

`base_model.model.`, a model's prefix that a head put there, wrappers that torch.compile or FSDP
left inside, and names that transformers has changed between its versions do not change which
weight of the base model is meant. Source: transformers 5.24, conversion_mapping.py and every
`base_model_prefix`; torch 2.13, the names of its wrappers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from superpose.names.words import BODIES, CHAINS, WRAPPERS

_NUMBERED = re.compile(r"(?P<half>(?:[^.]+\.)*?)[^.]+\.\d+\.")
_DIGITS = re.compile(r"(?<![A-Za-z_])\d+(?![A-Za-z_])")


class Rule(NamedTuple):
    """One renaming: what a name looks like before and after, and what it becomes.

    after: a pattern that few names ask for, compiled by the first that does.
    """

    before: re.Pattern[str]
    after: str
    text: str


def _rule(before: str, after: str, text: str) -> Rule:
    return Rule(re.compile(before), after, text)


class Renaming(NamedTuple):
    """One change of transformers. types: model types whose modules go by the new names today.

    by_half: its names are those of other models too (a ViT's before were BERT's, and are today), so
    that one half of a model may have changed and another not.
    """

    rules: tuple[Rule, ...]
    types: frozenset[str] = frozenset()
    by_half: bool = False


def _family(types: str, *rules: tuple[str, str, str], by_half: bool = False) -> Renaming:
    return Renaming(tuple(_rule(*rule) for rule in rules), frozenset(types.split()), by_half)


_TOWER = r"(vision_tower|image_tower|video_tower|vision_encoder)"
_VITS = "vit deit beit ijepa vit_mae vit_msn vivit audio-spectrogram-transformer"
_DETRS = "detr deformable_detr conditional_detr rt_detr rt_detr_v2"

RENAMINGS = (
    # Mixtures of experts; Granite's become a `block_sparse_moe.experts`, renamed by the next.
    _family(
        "granitemoe granitemoeshared granitemoehybrid",
        (r"(?<=block_sparse_moe)\.input_linear\.weight$", r"\.experts\.gate_up_proj$",
         ".experts.gate_up_proj"),
        (r"(?<=block_sparse_moe)\.output_linear\.weight$", r"\.experts\.down_proj$",
         ".experts.down_proj"),
    ),
    _family(
        "mixtral minimax minimax_m2 phimoe",
        (r"(^|\.)block_sparse_moe\.(?=experts\b|gate\b|router\b|shared)",
         r"(^|\.)mlp\.(experts|gate|router|shared)\b", r"\1mlp."),
    ),
    _family(
        "",
        (r"\.experts\.(\d+)\.w1(?=\.|$)", r"\.experts\.\d+\.gate_proj\b", r".experts.\1.gate_proj"),
        (r"\.experts\.(\d+)\.w3(?=\.|$)", r"\.experts\.\d+\.up_proj\b", r".experts.\1.up_proj"),
        (r"\.experts\.(\d+)\.w2(?=\.|$)", r"\.experts\.\d+\.down_proj\b", r".experts.\1.down_proj"),
    ),
    _family(
        "aria_text",
        (r"\.experts\.fc1\.weight$", r"\.experts\.gate_up_proj$", ".experts.gate_up_proj"),
        (r"\.experts\.fc2\.weight$", r"\.experts\.down_proj$", ".experts.down_proj"),
    ),
    _family(
        "granitemoe granitemoeshared granitemoehybrid gpt_oss",
        (r"\.router\.(linear|layer)\.", r"\.router\.(weight|bias)$", ".router."),
    ),
    # Vision transformers.
    _family(
        _VITS,
        (r"(^|\.)encoder\.layer\.(?=\d)", r"(^|\.)layers\.\d", r"\1layers."),
        by_half=True,
    ),
    _family(
        f"{_VITS} dinov2 dinov2_with_registers swin",
        (r"\battention\.(attention|self)\.query\b", r"\battention\.q_proj\b", "attention.q_proj"),
        (r"\battention\.(attention|self)\.key\b", r"\battention\.k_proj\b", "attention.k_proj"),
        (r"\battention\.(attention|self)\.value\b", r"\battention\.v_proj\b", "attention.v_proj"),
        (r"\battention\.output\.dense\b", r"\battention\.o_proj\b", "attention.o_proj"),
        (r"\bintermediate\.dense\b", r"\bmlp\.fc1\b", "mlp.fc1"),
        (r"\boutput\.dense\b", r"\bmlp\.fc2\b", "mlp.fc2"),
        by_half=True,
    ),
    _family(
        "dinov2 dinov2_with_registers",
        (r"\bmlp\.weights_out\b", r"\bmlp\.down_proj\b", "mlp.down_proj"),
        by_half=True,
    ),
    # Detection transformers.
    _family(
        _DETRS,
        (r"\b(self_attn|encoder_attn)\.out_proj\b", r"\b(self_attn|encoder_attn)\.o_proj\b",
         r"\1.o_proj"),
        by_half=True,
    ),
    _family(
        _DETRS,
        (r"\blayers\.(\d+)\.(fc[12])\b", r"\blayers\.\d+\.mlp\.fc[12]\b", r"layers.\1.mlp.\2"),
        by_half=True,
    ),
    # What a tower of its own class no longer says.
    _family(
        "clip_vision_model siglip_vision_model siglip2_vision_model altclip_vision_model "
        "chinese_clip_vision_model clipseg_vision_model metaclip_2_vision_model mlcd_vision_model "
        "xclip_vision_model",
        (rf"\b{_TOWER}\.vision_model\.", rf"\b{_TOWER}\.(?!vision_model\.)", r"\1."),
    ),
    _family("gpt_neox", (r"^embed_out\.", r"^lm_head\.", "lm_head.")),
)  # fmt: skip
"""Renamings of transformers 5, in the order in which they apply."""


class Parsed(NamedTuple):
    """A tensor's name: prefix + stem. identity: the stem as transformers 5 spells it."""

    prefix: str
    stem: str
    identity: str


def unwrapped(name: str) -> str:
    """Give a name without the wrappers that training left inside it, and without a second prefix.

    `model.layers.0._orig_mod.mlp` is `model.layers.0.mlp`; a model that PEFT wrapped twice says
    `base_model.model.` twice.
    """
    if "_" not in name and not name.startswith("module."):
        return name
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while parts[:1] == ["module"] and len(parts) > 1:
        parts = parts[1:]
    while parts[:2] == ["base_model", "model"] and len(parts) > 2:
        parts = parts[2:]
    return ".".join(parts)


@lru_cache(maxsize=1 << 14)
def parse(tensor: str) -> Parsed:
    """Take a name apart. tensor: module and parameter, `model.layers.0.self_attn.q_proj.weight`."""
    name = unwrapped(tensor)
    prefix = _prefix(name.split("."))
    stem = name.removeprefix(prefix)
    return Parsed(prefix, stem, _newest(stem))


def without_prefix(parsed: Parsed) -> Parsed:
    """Give the reading of the same name in which all of it is the weight's own."""
    name = parsed.prefix + parsed.stem
    return Parsed("", name, _newest(name))


def _newest(stem: str) -> str:
    for family in RENAMINGS:
        for rule in family.rules:
            stem = rule.before.sub(rule.text, stem)
    return stem


def _prefix(parts: list[str]) -> str:
    """Give what a name begins with that says nothing of the weight, with its last dot."""
    most = len(parts) - 2  # a parameter of the model itself keeps the one name that it has
    for count in (2, 1):
        words = parts[:count]
        known = ".".join(words) in CHAINS if count == 2 else words[0] in BODIES
        if count <= most and known:
            return ".".join(words) + "."
    return ""


class Scoped(NamedTuple):
    """A renaming and the halves of a model that it holds for; None for all of them."""

    rule: Rule
    halves: frozenset[str] | None = None


def respelled(parsed: Parsed, rules: Iterable[Scoped]) -> str:
    """Give a name without its prefix as the rules change it."""
    stem, half = parsed.stem, half_of(parsed.identity)
    for rule, halves in rules:
        if halves is None or half in halves:
            stem = rule.before.sub(rule.text, stem)
    return stem


def half_of(identity: str) -> str:
    """Give what comes before a name's first numbered part: `decoder.bert.`, or nothing.

    It tells the halves of a model apart: those of an encoder and a decoder, of vision and text.
    """
    match = _NUMBERED.match(identity)
    return match["half"] if match else ""


def by_identity(tensors: Iterable[str]) -> dict[str, str]:
    """Give tensors by what they mean, without those of which two seem to mean one."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name in tensors:
        identity = parse(name).identity
        if found.setdefault(identity, name) != name:
            twice.add(identity)
    return {identity: name for identity, name in found.items() if identity not in twice}


def abstract(name: str) -> str:
    """Give a name with 0 for each number of a layer or an expert: one for all that repeat."""
    return _DIGITS.sub("0", name)
