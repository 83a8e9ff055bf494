"""What a weight is, whatever a file calls it: its name without what only says where it was seen.

`base_model.model.`, a model's prefix that a head put there, wrappers that torch.compile or FSDP
left inside, and names that transformers has changed between its versions do not change which
weight of the base model is meant. Source: transformers 5.24, conversion_mapping.py and every
`base_model_prefix`; torch 2.13, the names of its wrappers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from superpose.names.words import BODIES, CHAINS, WRAPPERS

_DIGITS = re.compile(r"(?<![A-Za-z_])\d+(?![A-Za-z_])")


class Rule(NamedTuple):
    """One renaming: what a name looks like before and after, and what it becomes."""

    before: re.Pattern[str]
    after: re.Pattern[str]
    text: str


def _rule(before: str, after: str, text: str) -> Rule:
    return Rule(re.compile(before), re.compile(after), text)


FAMILIES: tuple[tuple[Rule, ...], ...] = (
    # Mixtures of experts, transformers 5.
    (
        _rule(r"(^|\.)block_sparse_moe\.(?=experts\b|gate\b|router\b|shared)",
              r"(^|\.)mlp\.(experts|gate|router|shared)\b", r"\1mlp."),
    ),
    (
        _rule(r"\.experts\.(\d+)\.w1(?=\.|$)", r"\.experts\.\d+\.gate_proj\b",
              r".experts.\1.gate_proj"),
        _rule(r"\.experts\.(\d+)\.w3(?=\.|$)", r"\.experts\.\d+\.up_proj\b",
              r".experts.\1.up_proj"),
        _rule(r"\.experts\.(\d+)\.w2(?=\.|$)", r"\.experts\.\d+\.down_proj\b",
              r".experts.\1.down_proj"),
    ),
    (
        _rule(r"\.input_linear\.weight$", r"\.experts\.gate_up_proj$", ".experts.gate_up_proj"),
        _rule(r"\.output_linear\.weight$", r"\.experts\.down_proj$", ".experts.down_proj"),
    ),
    (
        _rule(r"\.experts\.fc1\.weight$", r"\.experts\.gate_up_proj$", ".experts.gate_up_proj"),
        _rule(r"\.experts\.fc2\.weight$", r"\.experts\.down_proj$", ".experts.down_proj"),
    ),
    (
        _rule(r"\.router\.(linear|layer)\.", r"\.router\.(weight|bias)$", ".router."),
    ),
    # Vision transformers, transformers 5. The second `attention.` is what was dropped.
    (
        _rule(r"(^|\.)encoder\.layer\.(?=\d)", r"(^|\.)layers\.\d", r"\1layers."),
        _rule(r"\battention\.(attention|self)\.query\b", r"\battention\.q_proj\b",
              "attention.q_proj"),
        _rule(r"\battention\.(attention|self)\.key\b", r"\battention\.k_proj\b",
              "attention.k_proj"),
        _rule(r"\battention\.(attention|self)\.value\b", r"\battention\.v_proj\b",
              "attention.v_proj"),
        _rule(r"\battention\.output\.dense\b", r"\battention\.o_proj\b", "attention.o_proj"),
        _rule(r"\bintermediate\.dense\b", r"\bmlp\.fc1\b", "mlp.fc1"),
        _rule(r"\boutput\.dense\b", r"\bmlp\.fc2\b", "mlp.fc2"),
    ),
    (
        _rule(r"\bmlp\.weights_out\b", r"\bmlp\.down_proj\b", "mlp.down_proj"),
    ),
    # What a tower of its own class no longer says, transformers 5.
    (
        _rule(r"\b(vision_tower|image_tower|video_tower|vision_encoder)\.vision_model\.",
              r"\b(vision_tower|image_tower|video_tower|vision_encoder)\.(?!vision_model\.)",
              r"\1."),
    ),
    (
        _rule(r"^embed_out\.", r"^lm_head\.", "lm_head."),
    ),
)  # fmt: skip
"""Renamings of transformers, each family of one change, in the order in which they apply."""


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
    identity = stem
    for family in FAMILIES:
        for rule in family:
            identity = rule.before.sub(rule.text, identity)
    return Parsed(prefix, stem, identity)


def _prefix(parts: list[str]) -> str:
    """Give what a name begins with that says nothing of the weight, with its last dot."""
    most = len(parts) - 2  # a parameter of the model itself keeps the one name that it has
    for count in (2, 1):
        words = parts[:count]
        known = ".".join(words) in CHAINS if count == 2 else words[0] in BODIES
        if count <= most and known:
            return ".".join(words) + "."
    return ""


def abstract(name: str) -> str:
    """Give a name with 0 for each number of a layer or an expert: one for all that repeat."""
    return _DIGITS.sub("0", name)
