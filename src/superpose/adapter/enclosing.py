"""Deltas of modules that are stored whole as well: a sum may hold both, no PEFT adapter does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from superpose.adapter.place import place_of

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter


def enclosed(adapter: Adapter) -> dict[str, str]:
    """Give the deltas that lie in a module which is stored whole: key -> that module.

    One adapter of a sum has factors for the output layer, another stores it: PEFT takes either, and
    leaves one of the two out without a word when a file has both.
    """
    owners = {r.owner for r in adapter.replacements.values() if r.owner is not None}
    if not owners:
        return {}
    places = {key: place_of(key, delta.place).module for key, delta in adapter.items()}
    return {key: owner for key, module in places.items() for owner in _around(module, owners)}


def _around(module: str, owners: set[str]) -> list[str]:
    """Give the outermost of these modules that is, or holds, the module; none for most."""
    parts = module.split(".")
    names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next(([name] for name in names if name in owners), [])


__all__ = ["enclosed"]
