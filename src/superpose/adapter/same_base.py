"""Were these adapters trained on one base model? Shapes decide, names are evidence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.errors import DifferentBase, SuperposeWarning

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.adapter.delta import Delta

_IN_HUB_CACHE = re.compile(r"models--.+?--([^/\\]+)[/\\]snapshots(?:[/\\]|$)")


def check_same_base(adapters: Sequence[Adapter], same_base: bool = False) -> None:
    """Let adapters of one base model pass.

    same_base: True says that differing names are known to mean one model; differing shapes are
    refused all the same, because such deltas have no sum.

    Names are compared by their last path component, lower case, letters and digits alone: real
    folders say `google/gemma-3-270m-it`, `gemma3-270m-it` and a Windows path for one model. Such a
    difference is a SuperposeWarning. An adapter that names no base model agrees with every other.
    A target module that only some adapters have is no difference: a sum takes the union.

    Raises DifferentBase when one target module has two shapes, or the names differ in more than
    folder, owner, case or punctuation.
    """
    _check_shapes(adapters)
    if not same_base:
        _check_names(adapters)


def plain_name(base_model: str | None) -> str | None:
    """Reduce a base model's name to what identifies it; None when nothing is left."""
    if base_model is None:
        return None
    in_cache = _IN_HUB_CACHE.search(base_model)
    parts = [part for part in re.split(r"[/\\]", base_model) if part.strip()]
    last = in_cache.group(1) if in_cache else (parts[-1] if parts else "")
    return "".join(c for c in last.lower() if c.isalnum()) or None


def _check_shapes(adapters: Sequence[Adapter]) -> None:
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        _check_replacements(adapter, adapters)
        for module, delta in adapter.items():
            other = first.setdefault(module, adapter)
            if other[module].shape != delta.shape and not _pooled(delta, other[module]):
                raise DifferentBase(
                    f"`{module}` has shape {other[module].shape} in {other.label} "
                    f"and {delta.shape} in {adapter.label}",
                    where=module,
                    hint="Was one of them trained on another base model? Such deltas have no sum.",
                )
            _check_parts(module, (other, other[module]), (adapter, delta))


def _check_parts(module: str, first: tuple[Adapter, Delta], second: tuple[Adapter, Delta]) -> None:
    """One expert of four is none of eight, and one kernel's entries are none of another's."""
    (a, x), (b, y) = ((adapter, delta.place) for adapter, delta in (first, second))
    if x is None or y is None or (x.blocks, x.kernel) == (y.blocks, y.kernel):
        return
    many = x.blocks != y.blocks
    what = "parts" if many else "kernel"
    mine, theirs = (x.blocks, y.blocks) if many else (x.kernel, y.kernel)
    raise DifferentBase(
        f"`{x.tensor}` has {what} {mine} in {a.label} and {theirs} in {b.label}",
        where=module,
        hint="Was one of them trained on another base model? Such deltas have no sum.",
    )


def _pooled(*deltas: Delta) -> bool:
    """Whether a width may be a number of groups: `align` knows what it means then."""
    return any(d.place is not None and d.place.pooled > 1 for d in deltas)


def _check_replacements(adapter: Adapter, adapters: Sequence[Adapter]) -> None:
    for key, own in adapter.replacements.items():
        for other in adapters:
            theirs = other.replacements.get(key)
            if theirs is not None and theirs.shape != own.shape:
                raise DifferentBase(
                    f"`{key}` has shape {theirs.shape} in {other.label} and {own.shape} in "
                    f"{adapter.label}",
                    where=key,
                    hint="Heads for another number of labels, or another vocabulary, have no sum.",
                )


def _check_names(adapters: Sequence[Adapter]) -> None:
    named = [(plain_name(a.base_model), a) for a in adapters]
    named = [(name, a) for name, a in named if name is not None]
    for name, adapter in named[1:]:
        first_name, first = named[0]
        if name != first_name:
            raise DifferentBase(
                f"{first.label} was trained on `{first.base_model}` "
                f"and {adapter.label} on `{adapter.base_model}`",
                hint="If both names mean one model, say so with --same-base "
                "(in Python: same_base=True, or adapter.on_base(name)).",
            )
    spellings = sorted({str(a.base_model) for _, a in named})
    if len(spellings) > 1:
        warnings.warn(
            "taken for one base model: " + ", ".join(f"`{s}`" for s in spellings),
            SuperposeWarning,
            stacklevel=3,
        )
