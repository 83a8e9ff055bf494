"""What a tensor of a base model is, told by its name and shape: a linear layer's weight, or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "linear", "convolution", "embedding", "head", "router", "norm", "bias", "experts", "other"
]

_EMBEDDINGS = re.compile(
    r"(^|\.)(embed[^.]*|[^.]*embed(ding|dings)?(_\d+)?|wte|wpe|shared|tokens_embed|positions_embed"
    r"|rel_pos_emb|relative_attention_bias)(\.\d+)?\.weight$"
)
_HEADS = re.compile(
    r"(^|\.)(lm_head|embed_out|score|classifier|qa_outputs|proj_out|cls(\.[^.]+)*)\.weight$"
)
_ROUTERS = re.compile(r"(^|\.)(gate|router|shared_expert_gate)\.weight$")
_NORMS = re.compile(r"(norm|(^|[._])ln)[^.]*(\.\d+)?\.(weight|gamma)$", re.IGNORECASE)
_EXPERTS = re.compile(r"(^|\.)experts\.")


def kind_of(name: str, shape: tuple[int, ...], vocabulary: int | None) -> Kind:
    """Say what a tensor is.

    vocabulary: of the base model; a matrix with so many rows that no name tells is an embedding or
    a head. "router": of a mixture of experts, a bare parameter in most models, which takes no LoRA.
    "experts": a stack of matrices.
    """
    if name.endswith((".bias", ".beta")) and not _EMBEDDINGS.search(name):
        return "bias"
    if _NORMS.search(name):
        return "norm"
    if _HEADS.search(name):
        return "head"
    if _EMBEDDINGS.search(name):
        return "embedding"
    if len(shape) == 3 and _EXPERTS.search(name):
        return "experts"
    if len(shape) != 2 or not name.endswith(".weight"):
        return "other"
    if _ROUTERS.search(name):
        return "router"
    return "head" if vocabulary is not None and shape[0] == vocabulary else "linear"


def kind_in_diffusers(name: str, shape: tuple[int, ...]) -> Kind:
    """Say what a tensor of diffusers' models is: they have no head, and `proj_out` is a layer."""
    kind = kind_of(name, shape, None)
    if len(shape) > 2 and name.endswith(".weight"):
        return "convolution"
    return "linear" if kind in ("head", "router") and len(shape) == 2 else kind


def vocabulary_of(config: Mapping[str, Any]) -> int | None:
    """Give the size of a model's vocabulary as its configuration says it."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping) and isinstance(part.get("vocab_size"), int):
            return int(part["vocab_size"])
    return None


def architecture_of(config: Mapping[str, Any]) -> str:
    """Give the class of transformers that a configuration names; empty where it names none."""
    architectures = config.get("architectures")
    return str(architectures[0]) if isinstance(architectures, list) and architectures else ""


_PREFIX = {
    "bert": "bert",
    "bloom": "transformer",
    "codegen": "transformer",
    "ctrl": "transformer",
    "falcon": "transformer",
    "gpt2": "transformer",
    "gpt_bigcode": "transformer",
    "gpt_neo": "transformer",
    "gpt_neox": "gpt_neox",
    "gptj": "transformer",
    "imagegpt": "transformer",
    "mpt": "transformer",
    "openai-gpt": "transformer",
    "roberta": "roberta",
}
"""What each architecture with a head calls the model without one; all others say `model`. Source:
`base_model_prefix` in transformers 5.24."""


def missing_prefix(config: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Give what stands before every stored name in the module tree of a model with a head.

    GPT-2's own files say `h.0.attn.c_attn.weight` and GPT2LMHeadModel's tree `transformer.h.0...`.
    Empty where the files say it all, or hold a model without a head. names: of the stored tensors.
    """
    first = architecture_of(config)
    if not first or (first.endswith("Model") and not first.endswith("LMHeadModel")):
        return ""
    prefix = f"{_PREFIX.get(str(config.get('model_type')), 'model')}."
    tops = {name.partition(".")[0] + "." for name in names}
    bare = tops & {"h.", "layers.", "encoder.", "decoder.", "block.", "blocks."}
    return prefix if bare and prefix not in tops else ""
