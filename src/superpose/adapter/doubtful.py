"""Two names of which nobody can tell whether they mean one weight: no sum is made of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

from superpose.adapter.place import place_of
from superpose.errors import Refused
from superpose.names.identity import abstract, parse
from superpose.names.words import OTHERS

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

_REPEATED = re.compile(r"(?P<half>(?:[^.]+\.)*?)(?P<rest>[^.]+\.\d+\..+)")
"""`vision_model.encoder.layers.0.self_attn.q_proj`: what comes before the first numbered part."""


_WITH_BASE = "Give the base model (--base BASE), whose own names tell; or, in"


class _Seen(NamedTuple):
    """A layer's way in one adapter. half: what comes before the first numbered part."""

    half: str
    prefix: str
    shape: tuple[int, int]


def check_doubtful(adapters: Sequence[Adapter], halves: Collection[str] = ()) -> None:
    """Refuse adapters of which one says `encoder.layers.0` and another `x.encoder.layers.0`.

    Both may be one weight, seen from two models, or one layer of two halves of a model. Where an
    adapter has names of both, or the base model has (`halves`: of its names, `halves_of`), they are
    two; where the longer name says a known other half (vision, audio, ...) they are two as well.
    """
    places = [_layers(adapter) for adapter in adapters]
    ways = [{seen.half for found in place.values() for seen in found} for place in places]
    for (i, mine), (j, theirs) in combinations(enumerate(places), 2):
        if ways[i] == ways[j]:
            continue
        for rest in mine.keys() & theirs.keys():
            for x, y in product(mine[rest], theirs[rest]):
                apart = any({x.half, y.half} <= set(known) for known in (*ways, halves))
                if not apart and x.shape == y.shape and _may_be_one(x, y):
                    names = (x.half + rest, y.half + rest)
                    raise _doubt(adapters[i], adapters[j], *names, based=bool(halves))


def halves_of(names: Sequence[str]) -> frozenset[str]:
    """Give what comes before the first numbered part in names of tensors, each once."""
    kinds = {abstract(name) for name in names}
    found = (_REPEATED.fullmatch(parse(kind).identity) for kind in kinds)
    return frozenset(match["half"] for match in found if match is not None)


def _layers(adapter: Adapter) -> dict[str, set[_Seen]]:
    """Give by what follows the first numbered part where it stands."""
    found: dict[str, set[_Seen]] = {}
    for key, delta in adapter.items():
        parsed = parse(abstract(place_of(key, delta.place).tensor))
        match = _REPEATED.fullmatch(parsed.identity)
        if match is not None:
            seen = _Seen(match["half"], parsed.prefix, delta.shape)
            found.setdefault(match["rest"], set()).add(seen)
    return found


def _may_be_one(x: _Seen, y: _Seen) -> bool:
    """Whether the longer way to a layer ends in the shorter one, and names no other half."""
    short, long = sorted((x, y), key=lambda seen: len(seen.half))
    if short.half == long.half or not f".{long.half}".endswith(f".{short.half}"):
        return False
    if short.half:
        # `text_model.encoder` and `vision_model.encoder` are two; of a bare `encoder` nobody knows.
        return not short.prefix
    extra = long.half
    return not any(word in extra for word in OTHERS)


def _doubt(a: Adapter, b: Adapter, x: str, y: str, *, based: bool) -> Refused:
    x, y = (name.removesuffix(".weight") for name in (x, y))
    return Refused(
        f"{a.label} says `{x}` and {b.label} `{y}` (with 0 for each number): nobody can tell "
        "whether that is one weight or two",
        hint=f"{'In' if based else _WITH_BASE} Python, give one of them the other's names: "
        "adapter.renamed(lambda name: ...).",
    )
