"""Adapters of one tower of a model of two, text and vision: whose names do not say which.

CLIPTextModel and CLIPVisionModel both say `encoder.layers.0...`; CLIPModel, which holds both,
`text_model.encoder...` and `vision_model.encoder...`. The class that an adapter names tells them
apart. Source: transformers 5.24, CLIP, SigLIP and those like them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from superpose.adapter.base_class import MAPPING, base_class
from superpose.adapter.place import place_of
from superpose.adapter.renaming import renamed, tensors_of
from superpose.errors import Refused
from superpose.files.file_format import PEFT

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

_CLASS = re.compile(r"(?P<start>.+)(?P<tower>Text|Vision)Model(WithProjection)?")
_VISION = "vision_model."
_TOWERS = ("text_model.", _VISION)
_BARE = (
    "encoder.",
    "embeddings.",
    "head.",
    "pre_layrnorm.",
    "post_layernorm.",
    "final_layer_norm.",
)
"""What the names of one tower's own class begin with."""


def in_the_whole_model(adapters: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """Give the same adapters, those of one tower alone under the names of a model of both.

    Only where two towers meet: one adapter says `encoder.layers.0`, and another is of the other
    tower, by its names or by its class.

    Raises Refused, naming both, where neither class nor shape tells which tower one is of.
    """
    bare = [_is_bare(adapter) for adapter in adapters]
    if not any(bare):
        return tuple(adapters)
    towers = [_towers(adapter) for adapter in adapters]
    known = set[str]().union(*towers)
    classes = [_CLASS.fullmatch(base_class(adapter) or "") for adapter in adapters]
    first = classes[0]
    if len(known) == 1 and first and not first[3] and all(m and m[0] == first[0] for m in classes):
        (tower,) = known  # before transformers 5.6 such a class said so in its names
        return tuple(renamed(a, lambda name: name.removeprefix(tower)) for a in adapters)
    vision = any(_VISION in own for own, alone in zip(towers, bare, strict=True) if not alone)
    if len(known) < 2 and not vision:
        return tuple(adapters)
    return tuple(
        _whole(adapter, adapters, own) if alone else adapter
        for adapter, own, alone in zip(adapters, towers, bare, strict=True)
    )


def _is_bare(adapter: Adapter) -> bool:
    names = tensors_of(adapter)
    layers = any(name.startswith(_BARE[0]) for name in names)
    return adapter.format == PEFT.name and layers and all(name.startswith(_BARE) for name in names)


def _towers(adapter: Adapter) -> set[str]:
    """Give the towers that an adapter's names, or else its class, tell of."""
    found = {tower for tower in _TOWERS for name in tensors_of(adapter) if name.startswith(tower)}
    match = _CLASS.fullmatch(base_class(adapter) or "")
    return found or ({f"{match['tower'].lower()}_model."} if match else set())


def _whole(adapter: Adapter, adapters: Sequence[Adapter], known: set[str]) -> Adapter:
    if not known:
        _check_shapes(adapter, adapters)
        return adapter
    (tower,) = known
    found = renamed(adapter, lambda name: f"{tower}{name}")
    mapping, match = adapter.settings.get(MAPPING), _CLASS.fullmatch(base_class(adapter) or "")
    if isinstance(mapping, Mapping) and match is not None:
        whole = {**mapping, "base_model_class": f"{match['start']}Model"}
        found = replace(found, settings={**found.settings, MAPPING: whole})
    return found


def _check_shapes(adapter: Adapter, adapters: Sequence[Adapter]) -> None:
    """Refuse names that may be those of the vision tower, by the shapes that it has in others."""
    for other in adapters:
        bare = other is not adapter and _is_bare(other)
        for key, delta in other.items():
            name = place_of(key, delta.place).module
            inner = name if bare else name.removeprefix(_VISION)
            same = adapter.get(inner)
            if (bare or inner != name) and same is not None and same.shape == delta.shape:
                raise _doubt(adapter, inner, other, name)


def _doubt(adapter: Adapter, name: str, other: Adapter, theirs: str) -> Refused:
    return Refused(
        f"{adapter.label} says `{name}`, as the text model and the vision model both do, and "
        f"{other.label} `{theirs}`: nobody can tell which of the two it means",
        where=name,
        hint="In Python, give its names what the whole model has before them: "
        'adapter.renamed(lambda name: "text_model." + name), or "vision_model." + name.',
    )


__all__ = ["in_the_whole_model"]
