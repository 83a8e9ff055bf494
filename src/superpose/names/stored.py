"""One parameter, several names: what a module tree says and what the base model's files say.

transformers renames while it loads and renames back while it saves, so an adapter trained today may
say `model.language_model.layers.0...` where the files say `language_model.model.layers.0...`.
Source: transformers 5.24, conversion_mapping.py, read from right to left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

PREFIXES = ("model", "transformer", "gpt_neox", "backbone", "bert", "roberta", "base_model")
"""What a model with a head calls the model without one; files may leave it out or put it in."""

_RENAMED = (
    # Vision-language models: the language model stood outside, and below another prefix.
    (r"^model\.language_model\.", r"language_model.model."),
    (r"^model\.language_model\.", r"model."),
    (r"^model\.language_model\.", r"language_model."),
    (r"^model\.language_model\.", r"model.language_model.model."),
    (r"^language_model\.model\.", r"model.language_model."),
    (r"^model\.(layers|embed_tokens|norm)\.", r"model.language_model.\1."),
    (r"^model\.text_model\.", r"text_model.model."),
    # The body of what answers questions (LlamaForQuestionAnswering and those like it).
    (r"^transformer\.(layers|embed_tokens|norm)\.", r"model.\1."),
    (r"^lm_head\.", r"language_model.lm_head."),
    (r"^lm_head\.", r"text_model.lm_head."),
    (r"^lm_head\.", r"embed_out."),
    (r"^language_model\.lm_head\.", r"lm_head."),
    # Mixtures of experts.
    (r"\.mlp\.(experts|gate|router)\b", r".block_sparse_moe.\1"),
    (r"\.mlp\.router\b", r".block_sparse_moe.gate"),
    (r"\.block_sparse_moe\.(experts|gate)\b", r".mlp.\1"),
    (r"\.experts\.gate_up_proj$", r".input_linear.weight"),
    (r"\.experts\.down_proj$", r".output_linear.weight"),
    (r"\.router\.weight$", r".router.layer.weight"),
    (r"\.experts\.gate_up_proj$", r".experts.fc1.weight"),
    (r"\.experts\.down_proj$", r".experts.fc2.weight"),
    (r"\.decoder\.bias$", r".bias"),
    # As old as BERT, and PyTorch's weight_norm.
    (r"\bLayerNorm\.weight$", r"LayerNorm.gamma"),
    (r"\bLayerNorm\.bias$", r"LayerNorm.beta"),
    (r"\.parametrizations\.weight\.original0$", r".weight_g"),
    (r"\.parametrizations\.weight\.original1$", r".weight_v"),
)

_OUTPUTS = (
    "lm_head.weight",
    "lm_head.decoder.weight",
    "lm_head.out_proj.weight",
    "language_model.lm_head.weight",
    "generator_lm_head.weight",
    "cls.predictions.decoder.weight",
    "predictions.decoder.weight",
    "decoder.weight",
    "proj_out.weight",
    "embed_out.weight",
    "output_projection.weight",
    "pred_layer.proj.weight",
    "vocab_projector.weight",
    "lm_loss.weight",
)
_EMBEDDINGS = (
    "model.embed_tokens.weight",
    "transformer.wte.weight",
    "transformer.word_embeddings.weight",
    "transformer.tokens_embed.weight",
    "transformer.word_embedding.weight",
    "transformer.embeddings.weight",
    "transformer.w.weight",
    "model.language_model.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "model.embeddings.tok_embeddings.weight",
    "model.shared.weight",
    "shared.weight",
    "gpt_neox.embed_in.weight",
    "backbone.embeddings.weight",
    "backbone.embedding.weight",
    "bert.embeddings.word_embeddings.weight",
    "roberta.embeddings.word_embeddings.weight",
)
"""Both as transformers 5.24 has them in `_tied_weights_keys` of its models."""

_OUTPUT = re.compile(
    r"(lm_head|(^|\.)(lm_head\.decoder|lm_head\.out_proj|predictions\.decoder|embed_out|vocab_projector"
    r"|output_projection|pred_layer\.proj|mlm_score\.decoder|lm_loss)|proj_out|^(head\.)?decoder)"
    r"\.weight$"
)
_INPUT = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings?|tokens_embed|tok_embeddings|shared|embed_in"
    r"|(backbone|rwkv)\.embeddings?|transformer\.(w|embeddings))\.weight$"
)

_INNER = "coder.embed_tokens.weight"
"""Ending of what an encoder-decoder calls its shared embedding in either half."""

_CONV1D = {
    "gpt2": "c_attn q_attn c_proj c_fc",
    "openai-gpt": "c_attn c_proj c_fc",
    "imagegpt": "c_attn q_attn c_proj c_fc",
    "decision_transformer": "c_attn q_attn c_proj c_fc",
    "clvp_decoder": "c_proj c_fc",
    "clvp": "c_proj c_fc",
}
"""Architectures with Conv1D layers, and how those layers are called. Source: transformers 5.24,
every use of `pytorch_utils.Conv1D`."""


def candidates(parameter: str, tops: Sequence[str]) -> Iterator[list[str]]:
    """Give groups of stored names for a parameter; the first group of which one exists decides.

    parameter: as the module tree says it. tops: first components of all stored names.
    """
    spellings = [parameter, *_respelled(parameter)]
    for name in spellings:
        yield [name]
    for name in spellings:
        top, _, rest = name.partition(".")
        if top in PREFIXES:
            yield [rest]
    for name in spellings:
        yield [f"{top}.{name}" for top in tops if top in PREFIXES]


def _respelled(parameter: str) -> list[str]:
    """Give every name that one or two renamings make of this one."""
    found = [parameter]
    for _ in range(2):
        for name in tuple(found):
            new = (re.sub(pattern, text, name) for pattern, text in _RENAMED)
            found += [name for name in new if name not in found]
    return found[1:]


def end_of(parameter: str) -> Literal["input", "output"] | None:
    """Say which end of weights that a configuration may tie a parameter is, None for neither."""
    if _OUTPUT.search(parameter):
        return "output"
    return "input" if _INPUT.search(parameter) else None


def tied_partner(parameter: str, stored_as: Callable[[str], str | None]) -> str | None:
    """Give the stored tensor of the other end of tied weights; None when it is no end of any.

    stored_as: stored name of a parameter's own tensor.
    """
    ends: Sequence[str] = ()
    if parameter.endswith(_INNER):
        ends = ("model.shared.weight", "shared.weight", *_OUTPUTS)
    elif end := end_of(parameter):
        ends = _EMBEDDINGS if end == "output" else _OUTPUTS
    return next((found for name in ends if (found := stored_as(name)) is not None), None)


def model_types(config: Mapping[str, Any]) -> frozenset[str]:
    """Give the model types of a configuration and of its parts."""
    parts = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    return frozenset(str(part["model_type"]) for part in parts if "model_type" in part)


def is_conv1d(module: str, types: frozenset[str]) -> bool:
    """Say whether a module of a model of these types is a Conv1D."""
    last = module.rpartition(".")[2]
    return any(last in _CONV1D.get(kind, "").split() for kind in types)


def may_be_conv1d(module: str) -> bool:
    """Say whether a module is a Conv1D in any architecture that has them."""
    return any(is_conv1d(module, frozenset({kind})) for kind in _CONV1D)
