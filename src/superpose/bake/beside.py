"""What lies beside adapters and the new model needs: the labels of a head, the tokens it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose.adapter import Adapter
from superpose.bake.classifier import Classifier
from superpose.files.checkpoint import CONFIG

_LABELS = ("id2label", "label2id", "problem_type")

TOKENIZER_CONFIG = "tokenizer_config.json"


def folders(adapter: Adapter) -> Iterator[Path]:
    """Give the folders here that an adapter, or the parents of a sum, were read from."""
    paths = [parent.path for parent in (1.0 * adapter).parents]
    paths += [parent.path for parent in adapter.parents]
    for path in dict.fromkeys(paths):
        if path is not None:
            folder = Path(path).expanduser()
            folder = folder if folder.is_dir() else folder.parent
            if (folder / "adapter_config.json").is_file():
                yield folder


def with_head(config: dict[str, Any], adapter: Adapter, classifier: Classifier) -> dict[str, Any]:
    """Give config.json of a model with this head.

    Its class follows from the base's and from the task. Labels have the names that a config.json
    beside an adapter gives them, if it is of this number, else transformers' own: LABEL_0 and on.
    transformers stores no num_labels: it counts id2label (5.24, `PreTrainedConfig`).
    """
    architecture = classifier.architecture(config)
    if architecture is not None:
        config = {**config, "architectures": [architecture]}
    beside = [_json(folder / CONFIG) for folder in folders(adapter)]
    beside = [c for c in beside if c.get("model_type") == config.get("model_type")]
    count = classifier.labels
    found = next((c for c in beside if _count(c) == count), None)
    if found is not None:
        config = {k: v for k, v in config.items() if k not in _LABELS}
        config |= {key: found[key] for key in _LABELS if found.get(key) is not None}
    elif count is not None and _count(config) != count:
        names = {str(n): f"LABEL_{n}" for n in range(count)}
        numbers = {name: int(n) for n, name in names.items()}
        config = {**config, "id2label": names, "label2id": numbers}
        config.pop("problem_type", None)
    if config.get("pad_token_id") is None:
        pad = _pad_token(adapter, beside)
        config = config if pad is None else {**config, "pad_token_id": pad}
    return config


def _count(config: Mapping[str, Any]) -> int | None:
    """Give the number of labels that a config.json names."""
    names = config.get("id2label")
    return len(names) if isinstance(names, Mapping) else None


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
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


__all__ = ["TOKENIZER_CONFIG", "folders", "with_head"]
