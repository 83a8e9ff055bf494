"""A base model with a head of its own: what the new model is then, and what it no longer has.

PEFT's task types are those of transformers' classes (peft 0.21.2,
`PeftModelForSequenceClassification` and its like): the sum of a base and a classifier's adapter is
no language model any more.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from superpose.adapter import Adapter, Replacement, in_head, place_of
from superpose.errors import Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint

_KINDS = {
    "SEQ_CLS": "SequenceClassification",
    "TOKEN_CLS": "TokenClassification",
    "QUESTION_ANS": "QuestionAnswering",
}

_LANGUAGE_HEADS = (
    "lm_head.", "language_model.lm_head.", "embed_out.", "cls.", "vocab_transform.",
    "vocab_layer_norm.", "vocab_projector.", "lm_predictions.", "mask_predictions.",
    "predictions.", "generator_predictions.", "generator_lm_head.", "discriminator_predictions.",
    "final_logits_bias",
)  # fmt: skip
"""How base models' files call what predicts tokens, which a classifier's class does not have."""

_INNER = re.compile(r"(^|\.)(pre_classifier|pooler|projector|dense|in_proj|norm|LayerNorm)\.")
"""Layers of a head before its last one."""

_BEFORE = {
    "bert": "pooler",
    "albert": "pooler",
    "mobilebert": "pooler",
    "deberta": "pooler",
    "deberta-v2": "pooler",
    "distilbert": "pre_classifier",
    "xlnet": "sequence_summary",
}
"""Model type -> what its classifiers of sequences have below the head that PEFT saves by itself."""

_MODEL = re.compile(r"(For[A-Z]\w*|(LMHead|WithLMHead|DoubleHeads)?Model)$")


@dataclass(frozen=True)
class Classifier:
    """What a model with a head is.

    kind: the end of its class's name, such as SequenceClassification; None where the adapter does
    not tell. labels: rows of its last layer; None where several could be that one. missing: what
    its class has and neither base nor adapter holds.
    """

    kind: str | None
    labels: int | None
    missing: str | None

    def architecture(self, config: Mapping[str, Any]) -> str | None:
        """Name its class after that of the base; None where nothing tells."""
        named = config.get("architectures")
        first = str(named[0]) if isinstance(named, list) and named else ""
        stem = _MODEL.sub("", first)
        if self.kind is None or not stem:
            return None
        return first if first.endswith(self.kind) else f"{stem}For{self.kind}"


def classifier_of(checkpoint: Checkpoint, adapter: Adapter) -> Classifier | None:
    """Say what base and adapter are together; None where the adapter stores no head.

    A layer below the head that nobody saved is said with a SuperposeWarning: transformers makes it
    at random whenever the model is loaded, and so does PEFT for such an adapter.

    Raises Refused for a class that would load none of the base's weights.
    """
    stored = [adapter.replacements[key] for key in in_head(adapter).stored]
    if not stored:
        return None
    kind = _kind(adapter, checkpoint, {r.tensor for r in stored})
    _check_body(adapter, checkpoint, kind)
    missing = None
    if kind == "SequenceClassification":
        missing = _missing(checkpoint, {r.tensor for r in stored})
    if missing is not None:
        warnings.warn(
            f"a classifier of this architecture has `{missing}` below its head, which neither the "
            "base model nor the adapter holds: it will be random each time the model is loaded, as "
            f'it is with PEFT (training with modules_to_save=["{missing}"] saves it)',
            SuperposeWarning,
            stacklevel=2,
        )
    return Classifier(kind, _labels(stored), missing)


def _check_body(adapter: Adapter, checkpoint: Checkpoint, kind: str | None) -> None:
    """Raise Refused where the class calls its body otherwise than any file of the base does.

    LlamaForQuestionAnswering and its like say `transformer`, and transformers 5.24 finds nothing
    there for the `model` of a language model's files, only for those of the bare model.
    """
    if kind != "QuestionAnswering":
        return
    for key, delta in adapter.items():
        tensor = place_of(key, delta.place).tensor
        stored = checkpoint.resolve(tensor) or ""
        if tensor.startswith("transformer.") and stored.startswith("model."):
            raise Refused(
                f"the adapter's class calls its body `transformer`, and the base's files call it "
                f"`model` (`{stored}`): transformers would load no weight of it into that class",
                where=key,
                hint="Bake onto the bare model, whose files say neither:\n"
                f'  python -c "from transformers import AutoModel as M; M.from_pretrained('
                f"'{checkpoint.folder}').save_pretrained('{checkpoint.folder.name}-bare')\"",
            )


def dropped_by(classifier: Classifier | None, checkpoint: Checkpoint) -> frozenset[str]:
    """Give the tensors of a base model that predict tokens, which a classifier does not have."""
    if classifier is None or classifier.kind is None:
        return frozenset()
    return frozenset(name for name in checkpoint.names if name.startswith(_LANGUAGE_HEADS))


def _kind(adapter: Adapter, checkpoint: Checkpoint, tensors: set[str]) -> str | None:
    """Tell by the task, by the class that the adapter names, by the head, or by the base itself."""
    task = adapter.settings.get("task_type")
    mapping = adapter.settings.get("auto_mapping")
    said = mapping.get("base_model_class") if isinstance(mapping, Mapping) else None
    own = checkpoint.config.get("architectures")
    for name in (said, *(own if isinstance(own, list) else ())):
        for kind in _KINDS.values():
            if task not in _KINDS and isinstance(name, str) and name.endswith(kind):
                return kind
    if task not in _KINDS and any(name.startswith("qa_outputs.") for name in tensors):
        return "QuestionAnswering"
    return _KINDS.get(str(task))


def _labels(stored: list[Replacement]) -> int | None:
    last = [
        replacement.shape[0]
        for replacement in stored
        if len(replacement.shape) == 2 and not _INNER.search(replacement.tensor)
    ]
    return last[0] if len(last) == 1 else None


def _missing(checkpoint: Checkpoint, tensors: set[str]) -> str | None:
    needed = _BEFORE.get(str(checkpoint.config.get("model_type")))
    held = (*checkpoint.names, *tensors)
    if needed is None or any(needed in name.split(".") for name in held):
        return None
    return needed


__all__ = ["Classifier", "classifier_of", "dropped_by"]
