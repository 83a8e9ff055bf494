"""The base model as a verb takes it: a name, or what `load_base` gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from superpose.errors import BadSetting
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.files.base import LocatedBase
    from superpose.model import BaseModel

__all__ = ["Base", "base_name", "loaded_base", "located"]

Base: TypeAlias = "str | os.PathLike[str] | BaseModel"
"""`smollm2`, a transformers folder, a hub name such as `org/name@revision`, or a loaded one."""


def base_name(base: Base) -> str:
    """Give the name that a base was asked for by."""
    if isinstance(base, str | os.PathLike):
        return os.fspath(base)
    return _checked(base).name


def loaded_base(base: Base, dtype: str = "float32") -> BaseModel:
    """Load it where it is a name; a loaded one keeps its dtype. Raises as `load_base` does."""
    if not isinstance(base, str | os.PathLike):
        return _checked(base)
    from superpose.files.base import read_base_name
    from superpose.files.embedded import NAME, converted
    from superpose.model import load_base

    if os.fspath(base) == NAME and read_base_name(NAME).path is None and converted() is None:
        note("note", f"{NAME} is converted once, which takes about a minute")
    return load_base(base, dtype=dtype)


def located(base: Base) -> LocatedBase:
    """Bring its files onto this machine, also where it is loaded. Raises as `locate_base` does."""
    from superpose.files.base import locate_base

    return locate_base(base if isinstance(base, str | os.PathLike) else base_name(base))


def _checked(base: BaseModel) -> BaseModel:
    """Give a loaded base. Raises BadSetting for what is none; its class would bring torch."""
    if not all(hasattr(base, part) for part in ("name", "model", "tokenizer")):
        raise BadSetting(
            f"{base!r} is no base model: give a name, or what load_base gave", where="base"
        )
    return base
