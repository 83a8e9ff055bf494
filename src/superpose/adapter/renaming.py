"""The same adapter under other names of its target modules: nothing but names changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from superpose.adapter.place import Place, place_of
from superpose.errors import Refused, SuperposeWarning, listed
from superpose.names.identity import unwrapped

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.adapter.delta import Delta
    from superpose.adapter.replacement import Replacement


def tensors_of(adapter: Adapter) -> list[str]:
    """Give the name of every tensor of the base that an adapter speaks of, each once."""
    found = [place_of(key, delta.place).tensor for key, delta in adapter.items()]
    found += [r.tensor for r in adapter.replacements.values()]
    return list(dict.fromkeys((*found, *adapter.copies)))


def renamed(adapter: Adapter, name_of: Callable[[str], str]) -> Adapter:
    """Give an adapter whose tensors go by other names.

    name_of: gives the new name for that of a tensor of the base (module and parameter). Factors are
    shared.

    Raises Refused, naming both, when two of its names become one.
    """
    deltas: dict[str, Delta] = {}
    keys: dict[str, str] = {}
    for key, delta in adapter.items():
        place = _moved(place_of(key, delta.place), name_of)
        keys[key] = place.key
        _once(adapter, deltas, keys, key)
        plain = delta.place is None and place == Place(place.module)
        deltas[place.key] = replace(delta, place=None if plain else place)
    return replace(
        adapter,
        deltas=deltas,
        replacements=_replacements(adapter, name_of),
        copies={name_of(tensor): value for tensor, value in adapter.copies.items()},
        tied={keys.get(a, a): keys.get(b, b) for a, b in adapter.tied.items()},
    )


def without_wrappers(adapter: Adapter) -> Adapter:
    """Give an adapter whose names are those of the model itself, and say that they were others.

    torch.compile, FSDP and a model that PEFT wrapped twice leave names in the file which no engine
    finds in a model that was loaded anew.
    """
    wrapped = [name for name in tensors_of(adapter) if unwrapped(name) != name]
    if not wrapped:
        return adapter
    found = renamed(adapter, unwrapped)
    before = listed([name.removesuffix(".weight") for name in wrapped])
    after = unwrapped(wrapped[0]).removesuffix(".weight")
    warnings.warn(
        f"{adapter.label}: {before} has names of wrappers (torch.compile, FSDP, DDP) "
        f"in it, which engines do not find; it is read as `{after}`",
        SuperposeWarning,
        stacklevel=4,
    )
    return found


def _once(
    adapter: Adapter, deltas: Mapping[str, object], keys: Mapping[str, str], key: str
) -> None:
    if keys[key] in deltas:
        before = next(k for k, new in keys.items() if new == keys[key])
        raise one_weight_twice(adapter, before, key)


def one_weight_twice(adapter: Adapter, first: str, second: str) -> Refused:
    """Say that an adapter holds one weight under two names."""
    return Refused(
        f"`{first}` and `{second}` are two names of one weight, and the adapter holds both; an "
        "engine takes one of them and leaves the other out",
        where=adapter.label,
        hint="Was it written by adding adapters whose names differ? Add them again with superpose.",
    )


def _replacements(adapter: Adapter, name_of: Callable[[str], str]) -> dict[str, Replacement]:
    done: dict[str, Replacement] = {}
    for stored in adapter.replacements.values():
        tensor = name_of(stored.tensor)
        place = None if stored.place is None else _moved(stored.place, name_of)
        new = replace(stored, tensor=tensor, place=place, owner=_owner(stored, tensor))
        if new.key in done:
            raise one_weight_twice(adapter, done[new.key].tensor, stored.tensor)
        done[new.key] = new
    return done


def _owner(stored: Replacement, tensor: str) -> str | None:
    """Give the new name of the module that was saved whole with a tensor: it holds the tensor."""
    if stored.owner is None:
        return None
    inside = stored.tensor.removeprefix(stored.owner)
    return tensor.removesuffix(inside) if tensor.endswith(inside) else tensor.rpartition(".")[0]


def _moved(place: Place, name_of: Callable[[str], str]) -> Place:
    tensor = name_of(place.tensor)
    if tensor == place.tensor:
        return place
    module, _, parameter = tensor.rpartition(".")
    return replace(place, module=module, parameter=parameter)
