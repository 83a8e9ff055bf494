"""The fields of an adapter_config.json that say how tensors are laid out, beyond rank and alpha."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.errors import BadInput

DEFAULT_EMBEDDING = "embed_tokens"
"""What a bare list of trainable_token_indices is about (peft 0.21.2, LoraConfig)."""

_HEADS = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
}
"""What is saved whole for a task, whether modules_to_save names it or not (peft 0.21.2)."""

_GROUP = 16
"""Default of qalora_group_size (peft 0.21.2)."""


def structure(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of LoraConfig that these fields decide.

    Raises BadInput (a reason alone, the caller knows the file) when one has a type that PEFT could
    not use either.
    """
    diagonal, blocks = _diagonal(config.get("use_bdlora"))
    return {
        "target_parameters": _names(config, "target_parameters"),
        "diagonal": diagonal,
        "diagonal_blocks": blocks,
        "lora_bias": bool(config.get("lora_bias")),
        "pooled": _whole(config, "qalora_group_size", _GROUP) if config.get("use_qalora") else 1,
        "rows": _rows(config.get("trainable_token_indices")),
        "whole_modules": _names(config, "modules_to_save") + _heads(config.get("task_type")),
        "tying": bool(config.get("ensure_weight_tying")),
        "use_dora": bool(config.get("use_dora")),
    }


def _names(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = config.get(name) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise BadInput(f"{name} is {str(value)[:40]!r}, not a list of names")
    return tuple(dict.fromkeys(value))


def _heads(task: object) -> tuple[str, ...]:
    return _HEADS.get(task, ()) if isinstance(task, str) else ()


def _whole(config: Mapping[str, Any], name: str, default: int) -> int:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{name} is {str(value)[:40]!r}; it must be a whole number of at least 1")
    return value


def _diagonal(value: Any) -> tuple[dict[str, tuple[str, ...]], int]:
    if not value:
        return {}, 1
    if not isinstance(value, dict):
        raise BadInput(f"use_bdlora is {str(value)[:40]!r}, not an object")
    fields = (("A", "target_modules_bd_a"), ("B", "target_modules_bd_b"))
    return {side: _names(value, key) for side, key in fields}, _whole(value, "nblocks", 1)


def _rows(value: Any) -> dict[str, tuple[int, ...]]:
    """Give the trained rows of each embedding, in the order of the file's tensor."""
    if not value:
        return {}
    by_name = value if isinstance(value, dict) else {DEFAULT_EMBEDDING: value}
    for rows in by_name.values():
        good = isinstance(rows, list) and all(type(row) is int and row >= 0 for row in rows)
        if not good or len(set(rows)) < len(rows):
            raise BadInput(
                "trainable_token_indices holds something else than different row numbers"
            )
    return {name: tuple(rows) for name, rows in by_name.items()}
