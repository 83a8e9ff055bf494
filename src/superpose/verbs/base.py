"""The base model as a verb takes it: a name, or what `load_base` gave."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from superpose.errors import BadSetting, MissingBase
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.files.base import LocatedBase
    from superpose.model import BaseModel
    from superpose.verbs.settings import Loading

__all__ = [
    "Base",
    "base_name",
    "base_name_or_none",
    "check_device",
    "loaded_base",
    "loaded_base_of",
    "located",
    "located_of",
]

Base: TypeAlias = "str | os.PathLike[str] | BaseModel"
"""`smollm2`, a transformers folder, a hub name such as `org/name@revision`, or a loaded one."""


def base_name(base: Base) -> str:
    """Give the name that a base was asked for by."""
    if isinstance(base, str | os.PathLike):
        return os.fspath(base)
    return _checked(base).name


def check_device(device: str | None, loads: bool) -> None:
    """Raise BadSetting for a device where no base model is loaded that could be there."""
    if device is not None and not loads:
        raise BadSetting("goes with data or verify, which load a base model", where="device")


def loaded_base(base: Base, dtype: str = "float32", device: str | None = "auto") -> BaseModel:
    """Load it where it is a name; a loaded one stays as it is. Raises as `load_base` does."""
    if not isinstance(base, str | os.PathLike):
        return _checked(base)
    from superpose.files.base import read_base_name
    from superpose.files.embedded import NAME, converted
    from superpose.model import load_base

    if os.fspath(base) == NAME and read_base_name(NAME).path is None and converted() is None:
        note("note", f"{NAME} is converted once, which takes about a minute")
    return load_base(base, dtype=dtype, device=device)


def base_name_or_none(base: Base | None) -> str | None:
    """Give the name that a base was asked for by; None for that which adapters name."""
    return None if base is None else base_name(base)


def loaded_base_of(
    base: Base | None, parts: Sequence[Adapter], loading: Loading, same_base: bool = False
) -> BaseModel:
    """Load a base model; of None that which the adapters name, which is said.

    same_base: theirs are known to be one whatever they are called. Raises BadSetting where none
    names its base model, DifferentBase where they name several, MissingBase where it is not here.
    """
    if base is not None:
        return loaded_base(base, loading.dtype, loading.device)
    named = _named_by(parts, same_base)
    with _named_by_adapters(named):
        return loaded_base(named, loading.dtype, loading.device)


def located(base: Base) -> LocatedBase:
    """Bring its files onto this machine, also where it is loaded. Raises as `locate_base` does."""
    from superpose.files.base import locate_base

    return locate_base(base if isinstance(base, str | os.PathLike) else base_name(base))


def located_of(
    base: Base | None, parts: Callable[[], Sequence[Adapter]], same_base: bool = False
) -> LocatedBase:
    """Bring a base model's files here; of None those of the one that the adapters name.

    parts: gives the adapters, asked for None alone. Raises as `located` and `loaded_base_of` do.
    """
    if base is not None:
        return located(base)
    named = _named_by(parts(), same_base)
    with _named_by_adapters(named):
        return located(named)


def _named_by(parts: Sequence[Adapter], same_base: bool) -> str:
    """Give the base model that the adapters name, which is said. Raises as `loaded_base_of`."""
    from superpose.adapter import check_same_base
    from superpose.adapter.same_base import base_with_revision
    from superpose.files.base import name_at_hand

    check_same_base(parts, same_base)
    named = next(filter(None, map(base_with_revision, parts)), None)
    if named is None:
        raise BadSetting(
            "no adapter names its base model",
            where="base",
            hint="Name it before the adapters: BASE ADAPTER ..., in Python base=.",
        )
    here = name_at_hand(named)
    called = "" if here == named else f", as {named}"
    note("note", f"base model {here}, which the adapters name{called}")
    return here


@contextmanager
def _named_by_adapters(named: str) -> Iterator[None]:
    """Let a MissingBase say who named the base model, and where the embedded one is of its name."""
    from superpose.files.embedded import HUB_NAME, NAME

    try:
        yield
    except MissingBase as error:
        raise MissingBase(
            f"{error.problem}. The adapters name it, and no other base model was named",
            where=error.where,
            hint=f"For adapters trained on {NAME}, which goes by that name: {NAME} ADAPTER ..."
            if named == HUB_NAME
            else "Say where it is, before the adapters: BASE ADAPTER ..., in Python base=. "
            + (error.hint or ""),
        ) from None


def _checked(base: BaseModel) -> BaseModel:
    """Give a loaded base. Raises BadSetting for what is none; its class would bring torch."""
    if not all(hasattr(base, part) for part in ("name", "model", "tokenizer")):
        raise BadSetting(
            f"{base!r} is no base model: give a name, or what load_base gave", where="base"
        )
    return base
