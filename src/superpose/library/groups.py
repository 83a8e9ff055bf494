"""Which adapters of a library are of one base model, and by what names their modules go there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from superpose.adapter import Adapter, Delta, Place, in_head, together, without_heads
from superpose.adapter.place import place_of_json
from superpose.adapter.same_base import plain_name
from superpose.errors import BadInput, DifferentBase, Refused, SuperposeWarning
from superpose.files.file_format import family_of_format

UNNAMED = "not named"

_REPLICATION = "layer_replication"


@dataclass
class Groups:
    """The groups of a library, each with a skeleton: an adapter of zeros with every module.

    skeletons: by the group's name, which is the base model's name as the first adapter has it.
    """

    skeletons: dict[str, Adapter] = field(default_factory=dict)

    def placed(self, adapter: Adapter) -> tuple[str, Adapter]:
        """Give the group that an adapter is in, and its deltas under the names that count there.

        A new one where no other has its base model's name and fits it. What it stores in place of
        the base's tensors, and deltas of heads, are left out.

        Raises BadInput for an adapter without any other delta.
        """
        own = _deltas_alone(adapter)
        for name in self._likely(own):
            try:
                return name, self.brought(name, own)
            except (DifferentBase, Refused):
                continue
        name = self._free_name(adapter.base_model or UNNAMED)
        self.skeletons[name] = _skeleton(own)
        return name, own

    def brought(self, name: str, adapter: Adapter) -> Adapter:
        """Give an adapter under the names of a group, which takes in its modules.

        Raises DifferentBase and Refused as `together` does.
        """
        own, before = _deltas_alone(adapter), self.skeletons[name]
        if _within(own, before):
            return own
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SuperposeWarning)
            skeleton, own = together((before, own), same_base=True, deltas_alone=True)
        deltas = {**_skeleton(own).deltas, **skeleton.deltas}
        self.skeletons[name] = replace(skeleton, deltas=deltas)
        return own

    def _likely(self, adapter: Adapter) -> list[str]:
        label = plain_name(adapter.base_model)
        if label is not None:
            return [n for n, one in self.skeletons.items() if plain_name(one.base_model) == label]
        fits = [n for n, one in self.skeletons.items() if _fits(adapter, one)]
        return fits if len(fits) == 1 else []

    def _free_name(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self.skeletons:
            count += 1
            name = f"{wanted} ({count})"
        return name

    def to_json(self) -> str:
        """Give all of it as text."""
        return json.dumps({name: _to_json(one) for name, one in self.skeletons.items()})

    @classmethod
    def of_json(cls, text: str) -> Groups:
        """Read what `to_json` gave."""
        return cls({name: _of_json(name, one) for name, one in json.loads(text).items()})


def _deltas_alone(adapter: Adapter) -> Adapter:
    if not (adapter.replacements or adapter.copies or in_head(adapter)):
        return adapter
    if not set(adapter) - set(in_head(adapter).deltas):
        raise BadInput("has no delta below a head: there is nothing to compare")
    return replace(without_heads(adapter), replacements={}, copies={})


def _within(adapter: Adapter, skeleton: Adapter) -> bool:
    """Say whether an adapter's names are the group's as they are."""
    return (
        family_of_format(adapter.format) == family_of_format(skeleton.format)
        and adapter.tied == skeleton.tied
        and adapter.settings.get(_REPLICATION) == skeleton.settings.get(_REPLICATION)
        and all(key in skeleton and _one(delta, skeleton[key]) for key, delta in adapter.items())
    )


def _one(x: Delta, y: Delta) -> bool:
    return x.shape == y.shape and x.place == y.place


def _fits(adapter: Adapter, skeleton: Adapter) -> bool:
    shared = [key for key in adapter if key in skeleton]
    return bool(shared) and all(_one(adapter[key], skeleton[key]) for key in shared)


def _skeleton(adapter: Adapter) -> Adapter:
    kept = (
        {_REPLICATION: adapter.settings[_REPLICATION]} if _REPLICATION in adapter.settings else {}
    )
    return Adapter(
        {key: _zeros(delta.shape, delta.place) for key, delta in adapter.items()},
        name="the library",
        base_model=adapter.base_model,
        settings=kept,
        tied=adapter.tied,
        format=adapter.format,
    )


def _zeros(shape: tuple[int, int], place: Place | None) -> Delta:
    """Give a delta of zeros that takes no memory."""
    zero = np.zeros((1, 1), np.float32)
    B, A = np.broadcast_to(zero, (shape[0], 1)), np.broadcast_to(zero, (1, shape[1]))
    return Delta.of(B, A, place=place)


def _to_json(skeleton: Adapter) -> dict[str, Any]:
    return {
        "base_model": skeleton.base_model,
        "format": skeleton.format,
        "settings": dict(skeleton.settings),
        "tied": dict(skeleton.tied),
        "modules": {
            key: [*delta.shape, None if delta.place is None else asdict(delta.place)]
            for key, delta in skeleton.items()
        },
    }


def _of_json(name: str, told: Mapping[str, Any]) -> Adapter:
    return Adapter(
        {
            key: _zeros((rows, columns), place_of_json(place))
            for key, (rows, columns, place) in told["modules"].items()
        },
        name="the library",
        base_model=told["base_model"],
        settings=told["settings"],
        tied=told["tied"],
        format=told["format"],
    )
