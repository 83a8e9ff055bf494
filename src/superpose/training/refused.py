"""What PEFT and transformers would take without a word, or refuse in words of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import transformers

from superpose.data.chat import CHAT_FILES, ChatTemplate
from superpose.errors import BadSetting
from superpose.files.own import own_file
from superpose.model.base_model import BaseModel
from superpose.shown.words import joined, meant

__all__ = ["ALL_LINEAR", "check_targets", "check_template", "check_trainer"]

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer that is no head; it stands alone."""


def check_targets(base: BaseModel, targets: Collection[str]) -> None:
    """Raise BadSetting where a target module is none of the base's, with what the base has.

    PEFT takes a module whose name is a target or ends in `.target`, and says nothing of a target
    that no module has as long as another one hits (`check_target_module_exists` of its LoRA tuner).
    """
    if tuple(targets) == (ALL_LINEAR,):
        return
    names = [name for name, _ in base.model.named_modules() if name]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            held = _layers(base.model)
            raise BadSetting(
                f"the base model {base.name} has no module `{target}`",
                where="targets",
                hint=f"{meant(target, held)}It has {joined(held)}.",
            )


def check_template(base: BaseModel, chat: ChatTemplate | None) -> None:
    """Raise Refused where the base's chat template is a link out of its folder.

    It is written beside the adapter, as it stands. One of another file was chosen by the user.
    """
    if chat is not None and chat.of == base.name:
        folder = Path(base.path)
        for path in (folder / name for name in CHAT_FILES):
            if path.is_symlink():
                own_file(path, folder)


def check_trainer(given: Mapping[str, Any]) -> None:
    """Raise BadSetting for a key that is no setting of transformers' TrainingArguments."""
    known = [field.name for field in fields(transformers.TrainingArguments) if field.init]
    for key in given:
        if key not in known:
            raise BadSetting(
                f"`{key}` is none of transformers' TrainingArguments",
                where="trainer",
                hint=meant(key, known).strip() or None,
            )


def _layers(model: Any) -> list[str]:
    """Give the last words of the names of all layers with a matrix, in the model's order."""
    found = (
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) >= 2
    )
    return list(dict.fromkeys(found))
