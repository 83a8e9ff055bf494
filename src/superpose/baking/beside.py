"""What lies beside adapters and the new model needs: the labels of a head, the tokens it knows."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.baking.classifier import Classifier
from superpose.errors import BadInput, SuperposeWarning
from superpose.files.checkpoint import CONFIG
from superpose.files.file_format import PEFT
from superpose.files.home import with_home
from superpose.files.json_values import read_json
from superpose.files.own import own_file
from superpose.files.tensors import read_header

_LABELS = ("id2label", "label2id", "problem_type")

TOKENIZER_CONFIG = "tokenizer_config.json"


def folders(adapter: Adapter) -> Iterator[Path]:
    """Give the folders here that an adapter, or the parents of a sum, were read from."""
    paths = [parent.path for parent in (1.0 * adapter).parents]
    paths += [parent.path for parent in adapter.parents]
    for path in dict.fromkeys(paths):
        if path is not None:
            folder = with_home(path)
            folder = folder if folder.is_dir() else folder.parent
            if (folder / PEFT.folder[0]).is_file():
                yield folder


_TOKENIZER = "tokenizer.json"


def with_head(config: dict[str, Any], adapter: Adapter, classifier: Classifier) -> dict[str, Any]:
    """Give config.json of a model with this head.

    Its class follows from the base's and from the task. Labels have the names that a config.json
    beside an adapter gives them, if it is of this number, else transformers' own: LABEL_0 and on.
    transformers stores no num_labels: it counts id2label (5.24, `PreTrainedConfig`).
    """
    before, architecture = config, classifier.architecture(config)
    if architecture is not None:
        config = {**config, "architectures": [architecture]}
    beside = [_json(folder / CONFIG) for folder in folders(adapter)]
    beside = [c for c in beside if c.get("model_type") == config.get("model_type")]
    count = classifier.labels
    found = next((c for c in beside if label_count(c) == count), None)
    if found is not None:
        config = {k: v for k, v in config.items() if k not in _LABELS}
        config |= {key: found[key] for key in _LABELS if found.get(key) is not None}
    elif count is not None and label_count(config) != count:
        names = {str(n): f"LABEL_{n}" for n in range(count)}
        numbers = {name: int(n) for n, name in names.items()}
        config = {**config, "id2label": names, "label2id": numbers}
        config.pop("problem_type", None)
    if config.get("pad_token_id") is None:
        pad = _pad_token(adapter, beside)
        _warn_of_padding(classifier, before, pad)
        config = config if pad is None else {**config, "pad_token_id": pad}
    return config


def _warn_of_padding(classifier: Classifier, base: Mapping[str, Any], pad: int | None) -> None:
    """Say that a classifier of a language model reads one row at a time: nobody named a padding.

    Source: transformers 5.24, `GenericForSequenceClassification.forward`.
    """
    named = base.get("architectures")
    first = str(named[0]) if isinstance(named, list) and named else ""
    of_words = first.endswith(("ForCausalLM", "LMHeadModel"))
    if pad is None and of_words and classifier.kind == "SequenceClassification":
        warnings.warn(
            "config.json names no pad_token_id, nor do the files beside the adapter: transformers "
            "takes one row at a time until model.config.pad_token_id is set to the tokenizer's",
            SuperposeWarning,
            stacklevel=3,
        )


def label_count(config: Mapping[str, Any]) -> int | None:
    """Give the number of labels that a config.json names."""
    names = config.get("id2label")
    return len(names) if isinstance(names, Mapping) else None


def carrier(adapter: Adapter, tensor: str) -> str:
    """Name the adapter whose file holds a copy of a tensor of the base, for a command to type."""
    module = tensor.rpartition(".")[0]
    for folder in folders(adapter):
        whole = _json(folder / PEFT.folder[0]).get("modules_to_save") or ()
        path = folder / PEFT.folder[1]
        if not path.is_file() or module.endswith(tuple(map(str, whole))):
            continue
        names = read_header(path).entries
        if any(n.replace(".base_layer", "").endswith(f".{tensor}") for n in names):
            return str(folder)
    return "ADAPTER"


def parts_with_words(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give a configuration, or the part of it, that says how many tokens there are."""
    inner = config.get("text_config")
    parts = [p for p in (config, inner) if isinstance(p, Mapping)]
    return [p for p in parts if "vocab_size" in p] or parts[-1:]


def with_vocabulary(config: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Give config.json of a model with so many rows of the embedding."""
    parts = parts_with_words(config)
    text = config.get("text_config")
    new = {**config, "vocab_size": rows} if any(p is config for p in parts) else dict(config)
    if isinstance(text, Mapping) and any(p is text for p in parts):
        new["text_config"] = {**text, "vocab_size": rows}
    return new


def carry_tokenizer(adapter: Adapter, target: Path) -> None:
    """Copy the tokenizer that lies beside an adapter with added tokens over the base's.

    Of several adapters the first that has one counts. Where none does, and the base has one, a
    SuperposeWarning says that it does not know the new tokens; another where two have different.
    """
    files = [one for one in adapter.beside if one.kind == "tokenizer" and one.folder is not None]
    first = [one for one in files if one.folder == files[0].folder]
    for one in first:
        folder = Path(str(one.folder))
        shutil.copyfile(own_file(folder / one.file, folder), target / one.file)
    for one in files:
        ours, theirs = target / one.file, Path(str(one.folder), one.file)
        if one not in first and ours.is_file() and ours.read_bytes() != theirs.read_bytes():
            _say(f"{one.adapter} has another {one.file} than {first[0].adapter}, whose is written")
            return
    if not first and any((target / name).is_file() for name in (_TOKENIZER, TOKENIZER_CONFIG)):
        _say(
            "the tokenizer is the base model's, which does not know the adapter's own tokens: none "
            "lies beside the adapter here. Save the one it was trained with into the model's folder"
        )


def _say(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=4)


def _pad_token(adapter: Adapter, beside: list[dict[str, Any]]) -> int | None:
    """Give the token that an adapter's own files pad with: its configuration, or its tokenizer."""
    for config in beside:
        if isinstance(config.get("pad_token_id"), int):
            return int(config["pad_token_id"])
    for folder in folders(adapter):
        tokenizer = _json(folder / TOKENIZER_CONFIG)
        token = tokenizer.get("pad_token")
        content = token.get("content") if isinstance(token, Mapping) else token
        added = tokenizer.get("added_tokens_decoder")
        for number, entry in added.items() if isinstance(added, Mapping) and content else ():
            if isinstance(entry, Mapping) and entry.get("content") == content:
                return int(number)
    return None


def _json(path: Path) -> dict[str, Any]:
    """Give a JSON object; nothing where there is none that could be read."""
    try:
        return read_json(path)
    except BadInput:
        return {}


__all__ = [
    "carrier",
    "carry_tokenizer",
    "folders",
    "label_count",
    "parts_with_words",
    "with_head",
    "with_vocabulary",
]
