"""The class of the base model that an adapter was trained on, where its configuration names it.

PEFT writes `auto_mapping` ({"base_model_class", "parent_library"}) where there is no `task_type`,
and AutoPeftModel.from_pretrained makes its base model by it. Source: peft 0.21.2, `auto.py` and
`PeftModel.save_pretrained`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from superpose.adapter.heads import in_head
from superpose.adapter.place import place_of
from superpose.errors import SuperposeWarning
from superpose.names.identity import parse
from superpose.names.words import BODIES

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

MAPPING = "auto_mapping"
"""Key of an adapter's settings: the mapping as the configuration says it."""

_CLASS, _LIBRARY = "base_model_class", "parent_library"

_TASK = re.compile(r"(For[A-Z]|With[A-Z]|LMHead|DoubleHeads|PreTrain|Model$).*")
_BARE = re.compile(r"(?!.*(LMHead|DoubleHeads)).*(?<!LM)Model")
_NO_HEAD_NEEDED = frozenset({"text_model", "language_model", "llm", "module", "base_model"})
"""Prefixes that models without a head have as well."""


def base_class(adapter: Adapter) -> str | None:
    """Give the name of the base model's class; None where nothing names it."""
    mapping = adapter.settings.get(MAPPING)
    found = mapping.get(_CLASS) if isinstance(mapping, Mapping) else None
    return found if isinstance(found, str) and found else None


def one_architecture(x: Adapter, y: Adapter) -> bool | None:
    """Say whether the classes of two adapters' base models are of one architecture.

    GPT2Model and GPT2LMHeadModel are, a U-Net and a ConvNeXt are not. None where one is unnamed.
    """
    mine, theirs = base_class(x), base_class(y)
    if mine is None or theirs is None:
        return None
    if mine == theirs or _TASK.sub("", mine) == _TASK.sub("", theirs):
        return True
    libraries = [_library(adapter) for adapter in (x, y)]
    return libraries[0] is not None and libraries[0] == libraries[1]


def agreed_mapping(total: Adapter, parts: Sequence[Adapter]) -> Mapping[str, object]:
    """Give the settings of a sum of two that name the base model's class; empty where none does.

    total: has the sum's names and what it stores. Where two classes differ by their head alone,
    the one that the sum's names, and the heads that it stores, are of is taken, with a
    SuperposeWarning; where they differ in more, neither.
    """
    named = [part for part in parts if base_class(part) is not None]
    mappings = [part.settings[MAPPING] for part in named]
    if not named:
        return {}
    if len(named) == 2 and mappings[0] == mappings[1]:
        return {MAPPING: mappings[0]}
    if len(named) == 1:
        bare = _BARE.fullmatch(base_class(named[0]) or "")
        return {} if bare and _has_head(total) else {MAPPING: mappings[0]}
    if not one_architecture(*named):
        return {}
    chosen = _fitting(total, named)
    said = " and ".join(f"{part.label} on {base_class(part)}" for part in named)
    warnings.warn(
        f"{said} are of one architecture: AutoPeftModel makes the sum's base model as "
        f"{base_class(chosen)}",
        SuperposeWarning,
        stacklevel=4,
    )
    return {MAPPING: chosen.settings[MAPPING]}


def _library(adapter: Adapter) -> str | None:
    """Give the model's own part of transformers, `transformers.models.gpt2`; None for others."""
    mapping = adapter.settings[MAPPING]
    found = mapping.get(_LIBRARY) if isinstance(mapping, Mapping) else None
    parts = found.split(".") if isinstance(found, str) else []
    return ".".join(parts[:3]) if parts[:2] == ["transformers", "models"] else None


def _fitting(total: Adapter, named: Sequence[Adapter]) -> Adapter:
    bare = [part for part in named if _BARE.fullmatch(base_class(part) or "")]
    if len(bare) == 1:
        with_head = next(part for part in named if part is not bare[0])
        return with_head if _has_head(total) else bare[0]
    stored = [part for part in named if in_head(part).stored]
    return stored[0] if len(stored) == 1 else named[0]


def _has_head(total: Adapter) -> bool:
    """Say whether names begin with what a model with a head calls the model without one."""
    prefixes = {parse(place_of(key, d.place).tensor).prefix for key, d in total.items()}
    first = {prefix.partition(".")[0] for prefix in prefixes if prefix}
    return bool(first & (BODIES - _NO_HEAD_NEEDED)) or bool(in_head(total))
