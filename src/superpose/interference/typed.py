"""What to type on a command line about two adapters."""

from __future__ import annotations

import re
from typing import NamedTuple

from superpose.adapter import Adapter, in_head
from superpose.adapter.image_marks import is_image
from superpose.adapter.same_base import base_with_revision, plain_name
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


class Words(NamedTuple):
    """What one adapter gives to the words for two of them.

    called: its name. name: its path where it has one. base: the name of its base model, and plain
    what identifies that, None where it has none. shown: the base as commands take it, BASE where it
    is a folder. heads, others: keys of tensors that it stores, of a head or not. ending: of a file
    like it.
    """

    called: str
    name: str
    base: str | None
    plain: str | None
    shown: str
    heads: frozenset[str]
    others: frozenset[str]
    ending: str
    image: bool


def words_of(adapter: Adapter, name: str) -> Words:
    """Give what an adapter gives to the words. name: by which it is told apart."""
    base = base_with_revision(adapter)
    # A head is looked for in all modules: hardly an adapter stores a tensor that could be one.
    heads = frozenset(in_head(adapter).stored if adapter.replacements else ())
    return Words(
        called=name,
        name=adapter.path or name,
        base=base,
        plain=plain_name(adapter.base_model),
        shown=_shown(base),
        heads=heads,
        others=frozenset(adapter.replacements) - heads,
        ending=_ending(adapter.format),
        image=is_image(adapter),
    )


def typed_of(a: Words, b: Words, *, one_base: bool) -> Typed:
    """Give the words for two adapters. one_base: whether anything shows that they have one base."""
    bases = {words.base: words.shown for words in (a, b) if words.base is not None}
    base = next(iter(bases.values())) if len(bases) == 1 else "BASE"
    named = {a.plain, b.plain} - {None}
    # Base models of two names were taken for one, so that other commands must be told as well. Or
    # of none, where nothing shows that it is one: then those commands are for who knows it.
    options = ("--same-base",) if len(named) > 1 or not one_base else ()
    # Heads, which no base has, are left out; any other tensor in its place needs the base.
    heads = a.heads | b.heads
    others = (a.others | b.others) - heads
    return Typed(
        names=(a.name, b.name),
        base=base,
        options=options,
        adding=(
            *(("--heads", "none") if heads else ()),
            *(("--base", base) if others else ()),
        ),
        out=f"OUT{a.ending}",
        images=a.image,
    )


def _ending(name: str) -> str:
    """Give how a sum's file ends; "" is a folder, as of all that goes by the base's own names."""
    one = next((f for f in FILE_FORMATS if f.name == name), None)
    return "" if one is None or one.family == Family.BASE else one.ending


def _shown(name: str | None) -> str:
    if name is None or _FOLDER.match(name):
        return "BASE"
    if name.startswith(_EMBEDDED_OF):
        from superpose.files.base import name_at_hand  # a room that other names do not need

        return name_at_hand(name)
    return name
