"""What to type on a command line about two adapters."""

from __future__ import annotations

import re
from typing import NamedTuple

from superpose.adapter import Adapter, in_head
from superpose.adapter.image_marks import is_image
from superpose.adapter.same_base import base_with_revision, plain_name, shows_one_base
from superpose.files.file_format import FILE_FORMATS, Family

_FOLDER = re.compile(r"[/~.\\]|[A-Za-z]:|.*/.*/")
"""What names a folder of the machine that an adapter was trained on, hardly one of this machine."""

_EMBEDDED_OF = "HuggingFaceTB/"
"""Whose models may be the embedded one under its own name."""


class Typed(NamedTuple):
    """The words for two adapters.

    names: of the two, their paths where they have one. base: of their base model, BASE where they
    do not tell it, or tell a folder. options: what a command about both needs besides. adding: and
    what `superpose add` does where task weights do not sum to 1. out: a sum's file or folder.
    images: whether they are image LoRAs, which no questions are asked of.
    """

    names: tuple[str, str]
    base: str
    options: tuple[str, ...]
    adding: tuple[str, ...]
    out: str
    images: bool


def typed_of(a: Adapter, b: Adapter, names: tuple[str, str]) -> Typed:
    """Give the words for two adapters. names: for those without a path."""
    return Typed(
        names=(a.path or names[0], b.path or names[1]),
        base=_base_of(a, b),
        options=_options(a, b),
        adding=_adding(a, b),
        out=f"OUT{_ending(a.format)}",
        images=is_image(a),
    )


def _ending(name: str) -> str:
    """Give how a sum's file ends; "" is a folder, as of all that goes by the base's own names."""
    one = next((f for f in FILE_FORMATS if f.name == name), None)
    return "" if one is None or one.family == Family.BASE else one.ending


def _base_of(a: Adapter, b: Adapter) -> str:
    named = {base_with_revision(adapter) for adapter in (a, b)} - {None}
    name = named.pop() if len(named) == 1 else None
    if name is None or _FOLDER.match(name):
        return "BASE"
    if name.startswith(_EMBEDDED_OF):
        from superpose.files.base import name_at_hand  # a room that other names do not need

        return name_at_hand(name)
    return name


def _options(a: Adapter, b: Adapter) -> tuple[str, ...]:
    """Base models of two names were taken for one, so that other commands must be told as well.

    Or of none, where nothing shows that it is one: then those commands are for who knows it.
    """
    named = {plain_name(adapter.base_model) for adapter in (a, b)} - {None}
    return ("--same-base",) if len(named) > 1 or not shows_one_base(a, b) else ()


def _adding(a: Adapter, b: Adapter) -> tuple[str, ...]:
    """Heads, which no base has, are left out; any other tensor in its place needs the base."""
    heads = {key for adapter in (a, b) for key in in_head(adapter).stored}
    others = {key for adapter in (a, b) for key in adapter.replacements} - heads
    base = ("--base", _base_of(a, b)) if others else ()
    return (*(("--heads", "none") if heads else ()), *base)
