"""Tied embeddings: one stored tensor that is the embedding and the output layer at once.

A delta on one of the two ends changes that end alone, so they part; one that is on both by the
adapter's own word (`ensure_weight_tying`, trained token rows) is added once, and they stay tied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from superpose.adapter import Adapter, Replacement, Stored, untied
from superpose.baking.beside import parts_with_words
from superpose.baking.change import Band
from superpose.baking.layout import not_there
from superpose.errors import Refused
from superpose.files.checkpoint import Checkpoint
from superpose.names.stored import end_of

End: TypeAlias = Literal["input", "output"]

OUTPUT = "lm_head.weight"
"""What causal language models call the output layer's weight."""

_MASKED = ("ForMaskedLM", "ForPreTraining")
"""Architectures whose output layer also ties its bias, to one that stands elsewhere."""

_OTHERWISE = frozenset(
    "BertGenerationDecoder BertLMHeadModel BigBirdForCausalLM BioGptForCausalLM "
    "BlipForConditionalGeneration BlipForQuestionAnswering BlipTextLMHeadModel "
    "CamembertForCausalLM CanaryForConditionalGeneration CohereAsrForConditionalGeneration "
    "Data2VecTextForCausalLM ElectraForCausalLM ErnieForCausalLM FlaubertWithLMHeadModel "
    "FSMTForConditionalGeneration FSMTModel GPTNeoXJapaneseForCausalLM GitForCausalLM "
    "Kosmos2ForConditionalGeneration MegatronBertForCausalLM ModernBertDecoderForCausalLM "
    "MoonshineForConditionalGeneration MoonshineStreamingForConditionalGeneration "
    "RoCBertForCausalLM RoFormerForCausalLM RobertaForCausalLM RobertaPreLayerNormForCausalLM "
    "RwkvForCausalLM SpeechT5ForSpeechToText T5Gemma2ForConditionalGeneration "
    "T5GemmaForConditionalGeneration TrOCRForCausalLM VisualBertForRegionToPhraseAlignment "
    "WhisperForCausalLM WhisperForConditionalGeneration XLMRobertaForCausalLM "
    "XLMRobertaXLForCausalLM XLMWithLMHeadModel XLNetLMHeadModel XmodForCausalLM".split()
)
"""Architectures whose output layer has another name than OUTPUT, by `_tied_weights_keys` of
transformers 5.24."""


def ends_of(parameter: str) -> tuple[End, ...]:
    """Give the end of tied weights that a parameter is, none for most."""
    end = end_of(parameter)
    return () if end is None else (end,)


def expanded(checkpoint: Checkpoint, adapter: Adapter) -> Adapter:
    """Give each end of tied layers a delta of its own where the base model does not tie them."""
    for output, embedding in adapter.tied.items():
        names = f"{output}.weight", f"{embedding}.weight"
        if any(checkpoint.resolve(name) is None for name in names):
            raise not_there(checkpoint, output, names[0])
        if checkpoint.resolve(names[0]) != checkpoint.resolve(names[1]):
            return untied(adapter)
    return adapter


def rows_at_both_ends(adapter: Adapter) -> set[str]:
    """Give the keys of token rows that count for both ends of tied weights.

    Where the base ties them, PEFT trains the rows of both ends as one, unless each end has rows of
    its own. Source: peft 0.21.2, `set_additional_trainable_modules`.
    """
    rows = {k: r for k, r in adapter.replacements.items() if r.row is not None}
    by_end: dict[Any, set[int | None]] = {"input": set(), "output": set(), None: set()}
    for replacement in rows.values():
        by_end[end_of(replacement.tensor)].add(replacement.row)
    if not by_end["output"] or not by_end["input"]:
        return {key for key, r in rows.items() if end_of(r.tensor) == "input"}
    if by_end["input"] != by_end["output"] and len(adapter.parents) > 1:
        raise Refused(
            "embedding and output layer have different trained rows, and in a sum nobody can tell "
            "which parent's rows count for both",
            where="trainable_token_indices",
        )
    return set()


def is_shared(checkpoint: Checkpoint, tensor: str) -> bool:
    """Whether a stored tensor is both ends of tied weights."""
    return end_of(tensor) is not None and checkpoint.tied and checkpoint.other_end(tensor) is None


def twin(checkpoint: Checkpoint, tensor: str) -> str | None:
    """Give the other end of weights that are tied though the files hold each: both are equal.

    transformers 5 ties such ones; where they differ, it does not.
    """
    other = checkpoint.other_end(tensor) if checkpoint.tied else None
    if other is None or checkpoint.entry(other)[:2] != checkpoint.entry(tensor)[:2]:
        return None
    rows = checkpoint.entry(tensor).shape[0]
    step = max(1, (1 << 20) // max(checkpoint.entry(tensor).shape[-1], 1))
    for low in range(0, rows, step):
        x, y = (checkpoint.read_rows(n, low, min(low + step, rows)) for n in (tensor, other))
        if not np.array_equal(x, y):
            return None
    return other


def free_name(checkpoint: Checkpoint, tensor: str, end: End, named: Sequence[str]) -> str:
    """Name the tensor that an end of tied weights gets for its own.

    named: what the adapter calls the output layer's, where it has one. Raises Refused where more
    than an embedding and one output layer share the tensor, that layer shares a bias too, or has
    another name in this architecture.
    """
    names = _architectures(checkpoint)
    masked = any(name.endswith(_MASKED) or name in _OTHERWISE for name in names)
    if checkpoint.config.get("is_encoder_decoder") or masked or end == "input":
        raise _not_parted(tensor)
    if tensor.startswith("language_model."):
        return f"language_model.{OUTPUT}"
    return next(iter(named), OUTPUT)


def check_no_end(checkpoint: Checkpoint, tensor: str) -> None:
    """Raise Refused for what may be tied weights under a name that superpose does not know.

    That is a matrix with a row for each word of a base that ties weights, of which no tensor is
    known to be the embedding.
    """
    words = {part.get("vocab_size") for part in parts_with_words(checkpoint.config)}
    shape = checkpoint.entry(tensor).shape
    may_be = len(shape) == 2 and shape[0] in words and checkpoint.tied and has_output(checkpoint)
    if may_be and not any(end_of(name) == "input" for name in checkpoint.names):
        raise _not_parted(tensor)


def _not_parted(tensor: str) -> Refused:
    return Refused(
        f"the adapter changes one end of `{tensor}`, which several layers of the base model share, "
        "and superpose does not know how this architecture parts them",
        where=tensor,
        hint="Untie them in the base model first: load it with tie_word_embeddings=False, copy the "
        "embedding's weight into the output layer, and save it.",
    )


def _architectures(checkpoint: Checkpoint) -> list[str]:
    names = checkpoint.config.get("architectures")
    return [str(name) for name in names] if isinstance(names, list) else []


def has_output(checkpoint: Checkpoint) -> bool:
    """Whether the model has an output layer over the vocabulary: a classifier has none."""
    headless = ("Classification", "QuestionAnswering")
    return not any(
        name.endswith(headless) or (name.endswith("Model") and "Head" not in name)
        for name in _architectures(checkpoint)
    )


def same(mine: list[Band], others: list[Band]) -> bool:
    """Whether both ends of tied weights change alike, so that they can stay one tensor."""
    if len(mine) != len(others):
        return False
    return all(
        x is y or _same_values(x.source, y.source)
        for x, y in zip(sorted(mine, key=_order), sorted(others, key=_order), strict=True)
    )


def _order(change: Band) -> tuple[int, str]:
    return change.at, type(change.source).__name__


def _same_values(x: object, y: object) -> bool:
    if not isinstance(x, Replacement) or not isinstance(y, Replacement):
        return False
    return (
        x.row == y.row
        and len(x.parts) == len(y.parts)
        and all(
            a.coefficient == b.coefficient
            and isinstance(a.value, Stored)
            and isinstance(b.value, Stored)
            and np.array_equal(a.value.tensor, b.value.tensor)
            for a, b in zip(x.parts, y.parts, strict=True)
        )
    )
