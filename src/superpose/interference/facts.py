"""Properties in which two adapters are held differently, though they may add the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from superpose.adapter import Adapter
from superpose.adapter.image_marks import MARKS
from superpose.shown.words import counted


@dataclass(frozen=True)
class Property:
    """A property in which the two adapters are held differently. a, b: its value in each."""

    name: str
    a: object
    b: object


def facts_of(a: Adapter, b: Adapter) -> tuple[Property, ...]:
    """Give the properties in which two adapters are held differently."""
    x, y = _held(a), _held(b)
    names = dict.fromkeys((*x, *y))
    found = [
        Property(name, x.get(name), y.get(name)) for name in names if x.get(name) != y.get(name)
    ]
    for name, of in _PER_MODULE.items():
        found += _per_module(name, a, b, of)
    return tuple(found)


def _held(adapter: Adapter) -> dict[str, object]:
    return {
        "base_model": adapter.base_model,
        "format": adapter.format,
        "made": None if adapter.made.plain else str(adapter.made),
        "dtype": ", ".join(sorted(dtypes_of(adapter))),
        **{name: value for name, value in adapter.settings.items() if name != MARKS},
    }


def dtypes_of(adapter: Adapter) -> set[str]:
    """Give the dtypes that an adapter's factors and stored tensors came in."""
    parts: Iterable[frozenset[str]] = (
        *(delta.stored for delta in adapter.values()),
        *(replacement.stored for replacement in adapter.replacements.values()),
    )
    return {dtype for stored in parts for dtype in stored}


def _ranks(adapter: Adapter) -> dict[str, object]:
    return {module: delta.rank for module, delta in adapter.items()}


def _scalings(adapter: Adapter) -> dict[str, object]:
    found = {m: sorted({t.coefficient for t in delta.terms}) for m, delta in adapter.items()}
    return {m: sizes[0] if len(sizes) == 1 else tuple(sizes) for m, sizes in found.items()}


_PER_MODULE: Mapping[str, Callable[[Adapter], dict[str, object]]] = {
    "rank": _ranks,
    "scaling": _scalings,
}


def _per_module(
    name: str, a: Adapter, b: Adapter, of: Callable[[Adapter], dict[str, object]]
) -> list[Property]:
    """Give one fact for each pair of values, with the number of modules that have it."""
    x, y = of(a), of(b)
    pairs = [(x[m], y[m]) for m in x if m in y]
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    return [
        Property(name if often == len(pairs) else f"{name} ({counted(often, 'module')})", *pair)
        for pair in dict.fromkeys(differing)
        for often in [differing.count(pair)]
    ]


__all__ = ["Property", "dtypes_of", "facts_of"]
