"""Were these adapters trained on one base model? Shapes decide, names are evidence."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from superpose.adapter.base_class import base_class, one_architecture
from superpose.adapter.heads import WAYS, is_head
from superpose.adapter.image_marks import is_image
from superpose.adapter.place import place_of
from superpose.errors import DifferentBase, SuperposeWarning
from superpose.files import is_here
from superpose.files.file_format import family_of_format
from superpose.files.hub_name import is_hub_address, parse_base_name
from superpose.names.stored import end_of
from superpose.shown.words import counted

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.adapter.delta import Delta
    from superpose.adapter.replacement import Replacement

_VERSION = re.compile(r"v?\d+(\.\d+)*")
_UNNAMED = re.compile(
    r"v?\d+(\.\d+)*|[0-9a-f]{40}|snapshots?|models?|base|base[_-]?model|hf|transformers|pytorch|"
    r"weights|final|latest|best|main|master|default|outputs?"
)
"""Parts of a path that name no model."""

_ON_KAGGLE = re.compile(
    r"kaggle(?:hub)?[/\\](?:input[/\\])?(?:models[/\\][^/\\]+[/\\])?"
    r"([^/\\]+)[/\\][^/\\]+[/\\]([^/\\]+)[/\\](\d+)[/\\]?$"
)
"""Kaggle's paths: MODEL/FRAMEWORK/VARIATION/VERSION."""

_IN_HUB_CACHE = re.compile(r"models--.+?--([^/\\]+)[/\\]snapshots(?:[/\\]|$)")


def check_same_base(
    adapters: Sequence[Adapter], same_base: bool = False, *, stored: bool = True
) -> None:
    """Let adapters of one base model pass.

    same_base: True says that differing names are known to mean one model; differing shapes are
    refused all the same, because such deltas have no sum. stored: False lets tensors that adapters
    store in place of the base's own have any shape, for who looks at deltas alone.

    Names are compared by their last path component, lower case, letters and digits alone: real
    folders say `google/gemma-3-270m-it`, `gemma3-270m-it` and a Windows path for one model. Such a
    difference is a SuperposeWarning. An adapter that names no base model agrees with every other.
    A target module that only some adapters have is no difference: a sum takes the union. Where one
    of two adapters that were read names no base model and they share no module, nothing shows that
    they have one: that is a SuperposeWarning.

    Raises DifferentBase when one target module has two shapes, the names differ in more than
    folder, owner, case or punctuation, or there are no names, no shared module, and base models of
    different classes (`auto_mapping`).
    """
    if stored:
        _check_replacements(adapters)
    _check_shapes(adapters)
    if not same_base:
        _check_names(adapters)
        _check_evidence(adapters)


@functools.lru_cache(maxsize=1024)  # asked for every pair of many adapters
def plain_name(base_model: str | None) -> str | None:
    """Reduce a base model's name to what identifies it; None when nothing is left.

    That is its last part; a version's number there, as Kaggle's paths end in, says something only
    beside what it is a version of, and `model` or `hf` nothing at all.
    """
    if base_model is None:
        return None
    in_cache = _IN_HUB_CACHE.search(base_model)
    if in_cache:
        return _letters(in_cache.group(1))
    parts = [part for part in re.split(r"[/\\]", base_model) if _letters(part)]
    kaggle = _ON_KAGGLE.search(base_model)
    if kaggle:
        model, variation, version = kaggle.groups()
        # A variation may be called by the model's name and more, or be no more than `8b`.
        whole = (_letters(variation) or "").startswith(_letters(model) or "?")
        return _letters((variation if whole else model + variation) + version)
    named = [n for n, part in enumerate(parts) if not _UNNAMED.fullmatch(part.lower())]
    if not named:
        return _letters("".join(parts))
    versions = [part for part in parts[named[-1] + 1 :] if _VERSION.fullmatch(part.lower())]
    return _letters("".join([parts[named[-1]], *versions]))


def is_unnamed(text: str) -> bool:
    """Say whether a model's name says nothing of which it is: `model`, `v1`, a commit."""
    return all(_UNNAMED.fullmatch(p.lower()) for p in re.split(r"[/\\]", text) if _letters(p))


def base_with_revision(adapter: Adapter) -> str | None:
    """Give the name that commands take for an adapter's base model; None where it names none.

    PEFT's configurations have a field of their own for a hub name's revision.
    """
    name, revision = adapter.base_model, adapter.settings.get("revision")
    if not name or not isinstance(revision, str) or revision in ("", "main"):
        return name
    on_hub = None if is_hub_address(name) else parse_base_name(name)
    if on_hub is None or on_hub.revision is not None or is_here(name):
        return name
    return f"{name}@{revision}"


def _letters(text: str) -> str | None:
    return "".join(c for c in text.lower() if c.isalnum()) or None


def _check_shapes(adapters: Sequence[Adapter]) -> None:
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        for module, delta in adapter.items():
            other = first.setdefault(module, adapter)
            if other[module].shape != delta.shape and not _pooled(delta, other[module]):
                raise DifferentBase(
                    f"`{module}` has shape {other[module].shape} in {other.label} "
                    f"and {delta.shape} in {adapter.label}",
                    where=module,
                    hint=_hint(module, delta, other[module]),
                )
            _check_parts(module, (other, other[module]), (adapter, delta))


def _hint(key: str, delta: Delta, other: Delta) -> str:
    """Say what two deltas of one module and different shapes are: where it can be told."""
    module = place_of(key, delta.place).module
    if is_head(module):
        return f"Heads for other labels have no sum. {WAYS}"
    embedding = delta.place is not None and delta.place.kind == "embedding"
    (x, a), (y, b) = delta.shape, other.shape
    if end_of(f"{module}.weight") and (x == y if embedding else a == b):
        count = abs(a - b) if embedding else abs(x - y)
        return (
            f"They differ in the vocabulary alone, by {counted(count, 'token')}: one was trained "
            "on a base model whose embedding was resized, and the other was not."
        )
    return "Was one of them trained on another base model? Such deltas have no sum."


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


def _check_replacements(adapters: Sequence[Adapter]) -> None:
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        for key, own in adapter.replacements.items():
            other = first.setdefault(key, adapter)
            theirs = other.replacements[key]
            if theirs.shape != own.shape:
                raise _other_stored(own, (other, theirs.shape), (adapter, own.shape))


def _other_stored(
    replacement: Replacement, *sides: tuple[Adapter, tuple[int, ...]]
) -> DifferentBase:
    """Say what differs where two adapters store one tensor in two shapes."""
    said = " and ".join(f"{shape} in {adapter.label}" for adapter, shape in sides)
    (_, x), (_, y) = sides
    hint = "Was one of them trained on another base model? Such tensors have no sum."
    if is_head(replacement.tensor):
        hint = f"Heads for other labels have no sum. {WAYS}"
    elif end_of(replacement.tensor) and x[1:] == y[1:]:
        hint = (
            f"They differ in the vocabulary alone, by "
            f"{counted(abs(x[0] - y[0]), 'token')}: each stores its "
            "own embedding, and two of different vocabularies have no sum. Bake each by itself, or "
            "train both on one base model whose embedding was resized once."
        )
    return DifferentBase(f"`{replacement.key}` has shape {said}", where=replacement.key, hint=hint)


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


def _check_evidence(adapters: Sequence[Adapter]) -> None:
    """Ask the classes of base models where neither names nor shapes tell anything of a pair."""
    blind = [
        (x, y)
        for x, y in combinations(adapters, 2)
        if not shows_one_base(x, y) and _family(x) == _family(y)
    ]
    for x, y in blind:
        if one_architecture(x, y) is False:
            raise DifferentBase(
                f"{x.label} was trained on a {base_class(x)} and {y.label} on a {base_class(y)} "
                "(auto_mapping), and they have no module in common",
                hint="If both are parts of one base model, say so with --same-base (in Python: "
                "same_base=True, or adapter.on_base(name) for both).",
            )
    # What was made in memory was made by somebody who knows.
    blind = [(x, y) for x, y in blind if x.path is not None and y.path is not None]
    if blind:
        x, y = blind[0]
        more = f" (and of {len(blind) - 1} more pairs)" if len(blind) > 1 else ""
        warnings.warn(
            f"nothing shows that {x.label} and {y.label}{more} have one base model: not both name "
            "it, and they change no module in common; --same-base says that they do",
            SuperposeWarning,
            stacklevel=4,
        )


def shows_one_base(x: Adapter, y: Adapter) -> bool:
    """Say whether names, or a module that both have, are evidence that two have one base model."""
    return None not in (plain_name(x.base_model), plain_name(y.base_model)) or _meet(x, y)


def _family(adapter: Adapter) -> str:
    """Give what names an adapter's modules go by: of two ways of naming nobody expects to meet."""
    return adapter.format if is_image(adapter) else family_of_format(adapter.format)


def _meet(x: Adapter, y: Adapter) -> bool:
    """Say whether two adapters change one module of a base model, or store one tensor."""
    if not x.deltas.keys().isdisjoint(y.deltas):
        return True
    return not _modules(x).isdisjoint(_modules(y))


def _modules(adapter: Adapter) -> set[str]:
    stored = {r.tensor.rpartition(".")[0] for r in adapter.replacements.values()}
    return stored | {place_of(key, delta.place).module for key, delta in adapter.items()}
