"""Adapters as a verb takes them: names, paths or loaded ones, with task weights or without."""

from __future__ import annotations

import os
import re
import reprlib
import shlex
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, TypeAlias, cast

from superpose.errors import BadInput, BadSetting

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.names.sums import Weight
    from superpose.verbs.base import Base

__all__ = [
    "AdapterName",
    "Adapters",
    "Weighted",
    "as_list",
    "as_number",
    "called_by",
    "given_twice",
    "loaded",
    "loaded_with_weights",
    "weighted",
]

AdapterName: TypeAlias = "str | os.PathLike[str] | Adapter"
"""A folder, a file, a hub name, or an adapter that is loaded already."""

Adapters: TypeAlias = Sequence[AdapterName]

Weighted: TypeAlias = "Adapters | AdapterName | Mapping[str, Weight]"
"""`["math", "finance:0.5"]`, `"math + 0.5*finance"` or `{"math": 1.0, "finance": 0.5}`; loaded ones
are at weight 1. Of image LoRAs a weight may be by part: `"cats.safetensors:te=0.5,unet=1"`, or
`{"cats.safetensors": {"te": 0.5, "unet": 1.0}}`."""


def as_list(adapters: Adapters | AdapterName) -> list[AdapterName]:
    """Give adapters as a list; one that stands alone, a name or a loaded one, is a list of it."""
    from superpose.adapter import Adapter

    if isinstance(adapters, str | os.PathLike | Adapter):
        return [adapters]
    if isinstance(adapters, Mapping):
        raise BadSetting(
            "a mapping has task weights, which are not taken here",
            where="adapters",
            hint="Give a list: list(adapters).",
        )
    if isinstance(adapters, Set | bytes) or not isinstance(adapters, Iterable):
        raise BadSetting(f"{adapters!r} is no list of adapters", where="adapters")
    return list(adapters)


def loaded(
    adapters: Adapters,
    *,
    base: Base | None = None,
    ignore_keys: Sequence[str] = (),
    dora: bool = False,
    beside: bool = True,
) -> list[Adapter]:
    """Load those that are names; the options are those of `superpose.load`, which says what raises.

    One name, or one adapter, stands for a list of it alone.
    """
    from superpose.adapter import Adapter
    from superpose.formats import load

    for each in as_list(adapters):
        if isinstance(each, str):
            _check_alone(each)
    name = base if base is None or isinstance(base, str | os.PathLike) else base.name
    return [
        a
        if isinstance(a, Adapter)
        else load(a, base=name, ignore_keys=ignore_keys, dora=dora, beside=beside)
        for a in as_list(adapters)
    ]


def _check_alone(name: str) -> None:
    """Raise BadSetting for a sum, or an adapter with a task weight, where one is loaded alone."""
    if not re.search(r":|\*|\s[+-]\s", name) or os.path.exists(name):  # noqa: PTH110
        return
    from superpose.verbs.weighted import parse_weighted

    terms = parse_weighted(name)
    if len(terms) == 1 and terms[0][1] is not None:
        raise BadInput(
            "no task weight is taken here: figures are those of each adapter alone",
            where=name,
            hint=f"Name the adapter: {terms[0][0]}",
        )
    if len(terms) > 1:
        raise BadInput(
            "a sum is not taken here, but an adapter alone",
            where=name,
            hint=f"Write it first: superpose add {shlex.quote(name)} -o OUT",
        )


def weighted(
    adapters: Weighted, weights: Sequence[float] | None = None
) -> tuple[list[AdapterName], list[float]]:
    """Give the names of the adapters, or loaded ones, and the task weight of each; 1 unless given.

    weights: in the adapters' order, in place of those behind the colons or of a mapping.

    Raises BadSetting when weights are given both ways, or another number of them than of adapters.
    """
    names, given = _parsed(adapters)
    if weights is None:
        return names, [1.0 if weight is None else weight for weight in given]
    if isinstance(weights, Set) or not isinstance(weights, Iterable):
        from superpose.compose import Method

        way = f"A merge method stands behind them: method={weights!r}."
        raise BadSetting(
            f"{weights!r} is no list of task weights",
            where="weights",
            hint=way if isinstance(weights, Method) else None,
        )
    weights = [as_number(weight) for weight in weights]
    if any(weight is not None for weight in given):
        raise given_twice()
    from superpose.shown.words import counted

    if len(weights) != len(names):
        raise BadSetting(
            f"{counted(len(names), 'adapter')} and {counted(len(weights), 'task weight')}",
            where="weights",
            hint="Give one task weight for each adapter, in the shell as one word: 1,0.5.",
        )
    return names, weights


def as_number(weight: object) -> float:
    """Give a task weight as a number; raises BadSetting where it is none."""
    try:
        return float(weight)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise BadSetting(f"{reprlib.repr(weight)} is no task weight", where="weights") from None


def called_by(adapter: AdapterName) -> str:
    """Give what an adapter is called: as it was given, or by where it was read."""
    from superpose.adapter import Adapter

    if isinstance(adapter, Adapter):
        return adapter.label
    if not isinstance(adapter, str | os.PathLike):
        raise BadInput(f"{adapter!r} is no adapter: neither a name nor a path")
    return os.fspath(adapter)


def given_twice() -> BadSetting:
    """Say that task weights stand with the adapters and beside them."""
    return BadSetting("task weights are given twice: with the adapters as well", where="weights")


def _parsed(adapters: Weighted) -> tuple[list[AdapterName], list[float | None]]:
    from superpose.adapter import Adapter
    from superpose.verbs.weighted import parse_weighted

    if isinstance(adapters, Adapter):  # which is a mapping
        return [adapters], [None]
    if isinstance(adapters, Mapping):
        given = cast("Mapping[str, Weight]", adapters)
        return _apart(
            (name, each if isinstance(each, Mapping) else as_number(each))
            for name, each in given.items()
        )
    parsed: list[tuple[AdapterName, Weight | None]] = []
    for adapter in as_list(adapters):
        parsed += parse_weighted(adapter) if isinstance(adapter, str) else [(adapter, None)]
    return _apart(parsed)


def _apart(
    terms: Iterable[tuple[AdapterName, Weight | None]],
) -> tuple[list[AdapterName], list[float | None]]:
    """Give names and numbers; an adapter with weights by part is loaded, and scaled by them."""
    names: list[AdapterName] = []
    numbers: list[float | None] = []
    for name, weight in terms:
        if isinstance(weight, Mapping):
            from superpose.adapter.by_part import scaled_by_part

            (adapter,) = loaded([name])
            names.append(scaled_by_part(adapter, {p: as_number(w) for p, w in weight.items()}))
            numbers.append(1.0)
        else:
            names.append(name)
            numbers.append(weight)
    return names, numbers


def loaded_with_weights(
    adapters: Weighted, *, base: str | None = None, ignore_keys: Sequence[str] = ()
) -> tuple[list[Adapter], list[float]]:
    """Load adapters and give the task weight of each. Raises as `loaded` and `weighted`."""
    names, weights = weighted(adapters)
    return loaded(names, base=base, ignore_keys=ignore_keys), weights
