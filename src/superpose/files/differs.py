"""What differs where an adapter does not fit a base model: said in names and sizes, not guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from superpose.files.checkpoint import Checkpoint
from superpose.files.precision import one_up_to_rounding
from superpose.names.stored import end_of

_NUMBERS = re.compile(r"\d+")

_BLOCK = 1 << 18
"""Values that are compared at once."""

_LISTED = 6
"""Neighbours of a missing layer that a message names at most."""


def rows_agree(base: Checkpoint, name: str, copy: NDArray[Any]) -> bool:
    """Whether a copy of a stored tensor has its values, in the rows that both have.

    Up to rounding, see `one_up_to_rounding`; never where their other axes differ.
    """
    shape = base.entry(name).shape
    if copy.shape[1:] != shape[1:] or len(copy.shape) != len(shape) or not shape:
        return False
    both = min(len(copy), shape[0])
    step = max(1, _BLOCK // max(math.prod(shape[1:]), 1))
    blocks = [(low, min(low + step, both)) for low in range(0, both, step)]
    return one_up_to_rounding(
        lambda: ((base.read_rows(name, low, high), copy[low:high]) for low, high in blocks)
    )


def nearest_name(name: str, names: Collection[str]) -> str | None:
    """Give the stored name that is spelled most like this one; None where none is near.

    Names that differ in numbers alone are compared once: a model has many layers.
    """
    by_pattern = {_NUMBERS.sub("0", known): known for known in names}
    found = get_close_matches(_NUMBERS.sub("0", name), by_pattern, n=1, cutoff=0.5)
    if not found:
        return None
    numbers = iter(_NUMBERS.findall(name))
    same = _NUMBERS.sub(lambda _: next(numbers, "0"), found[0])
    return same if same in names else by_pattern[found[0]]


def missing_hint(name: str, names: Collection[str]) -> str:
    """Say what a base model has in the place of a tensor that it lacks."""
    parent = name.rpartition(".")[0].rpartition(".")[0]
    start = f"{parent}." if parent else ""
    below = (n.removeprefix(start) for n in names if parent and n.startswith(start))
    inside, said = {n.partition(".")[0] for n in below}, []
    if inside:
        some = ", ".join(sorted(inside)[:_LISTED]) + (", ..." if len(inside) > _LISTED else "")
        said.append(f"Its `{parent}` has {some}.")
    near = nearest_name(name, names)
    if near is not None:
        said.append(f"Its nearest name is `{near}`.")
    return " ".join([*said, "Was the adapter trained on another base model, or saved by another "
                     "version of its library?"])  # fmt: skip


def shape_hint(
    name: str,
    own: tuple[int, ...],
    stored: tuple[int, ...],
    base: Path,
    config: Mapping[str, Any],
    *,
    words: int = 0,
    carrier: str | None = None,
) -> str:
    """Say what differs between an adapter's tensor and the base's of one name, and what to do.

    own, stored: shapes, the adapter's and the base's. words: the axis that has the vocabulary, if
    any has. carrier: an adapter whose file holds the embedding of the base that it was trained on.
    """
    axes = [n for n, (x, y) in enumerate(zip(own, stored, strict=False)) if x != y]
    if len(own) != len(stored) or len(axes) != 1:
        return "The two are of other sizes altogether: the adapter is another base model's."
    if end_of(name) and axes == [words]:
        return resize_hint(own[words], stored[words], base, config, carrier)
    return (
        f"Axis {axes[0]} differs, {own[axes[0]]} in the adapter and {stored[axes[0]]} in the base "
        "model: was it trained on another base model, or on one of its other sizes?"
    )


def resize_hint(
    own: int, stored: int, base: Path, config: Mapping[str, Any], carrier: str | None = None
) -> str:
    """Say by how many tokens two vocabularies differ, and how to resize the base model's.

    With a carrier PEFT puts the embedding that its file holds into the resized base: the new rows
    are those that it was trained on, and not random ones.
    """
    count = abs(own - stored)
    tokens = f"{count} token{'s' if count > 1 else ''}"
    more = f"{tokens} more" if own > stored else f"{tokens} fewer"
    named = config.get("architectures")
    model = str(named[0]) if isinstance(named, list) and named else "AutoModelForCausalLM"
    start = f"from transformers import {model} as M; m = M.from_pretrained('{base}'); "
    start += f"m.resize_token_embeddings({own}); "
    if carrier is not None:
        start = f"from peft import PeftModel; {start}"
        start += f"m = PeftModel.from_pretrained(m, '{carrier}').unload(); "
    return (
        f"Only the vocabulary differs: the adapter was trained with {more} than the base model "
        "has. Resize the base model's, and give that one:\n"
        f"  python -c \"{start}m.save_pretrained('{base.name}-{own}')\""
    )


__all__ = ["missing_hint", "nearest_name", "resize_hint", "rows_agree", "shape_hint"]
