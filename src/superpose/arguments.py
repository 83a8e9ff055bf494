"""What a public function or class is given: what is of another kind is refused by its name."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Set
from numbers import Integral, Real
from typing import Any, NamedTuple, ParamSpec, TypeVar

from superpose.errors import BadInput, BadSetting

__all__ = ["as_mapping", "as_tuple", "each_is", "of_kind", "typed"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class _Kind(NamedTuple):
    """What an annotation means. called: in a message, `... is no path`."""

    called: str
    fits: Callable[[Any], bool]


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str)


def _is_base(value: object) -> bool:
    # Its class would bring torch.
    return _is_path(value) or all(hasattr(value, part) for part in ("name", "model", "tokenizer"))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ == "bool"  # NumPy's too


def _is_a(name: str) -> Callable[[object], bool]:
    """Tell by a class's name, since it is of a layer above."""
    return lambda value: any(kind.__name__ == name for kind in type(value).__mro__)


def _are_adapters(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_a("Adapter"), value))


def _are_numbers(value: object) -> bool:
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        return False
    return not hasattr(value, "__len__") or all(map(_is_number, value))


def _are_texts(value: object) -> bool:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return False
    # An iterator would be used up by looking.
    return not hasattr(value, "__len__") or all(isinstance(one, str) for one in value)


def _are_paths(value: object) -> bool:
    if isinstance(value, Mapping | Set | bytes) or not isinstance(value, Iterable):
        return False
    return not hasattr(value, "__len__") or all(map(_is_path, value))


_PATH = "str | os.PathLike[str]"
_KINDS: dict[str, _Kind] = {
    _PATH: _Kind("path", _is_path),
    "str | Path": _Kind("path", _is_path),
    f"Sequence[{_PATH}] | {_PATH}": _Kind(
        "path, and no list of paths", lambda value: _is_path(value) or _are_paths(value)
    ),
    f"{_PATH} | Mapping[str, Any]": _Kind(
        "path, and no mapping of what a file holds",
        lambda value: _is_path(value) or isinstance(value, Mapping),
    ),
    "Adapter": _Kind("adapter: superpose.load gives one of a name", _is_a("Adapter")),
    "Sequence[Adapter]": _Kind("list of adapters that are loaded", _are_adapters),
    "Sequence[float]": _Kind("list of numbers", _are_numbers),
    "Base": _Kind("base model: give a name, or what load_base gave", _is_base),
    "bool": _Kind("truth value: give True or False", _is_truth),
    "int": _Kind("whole number", _is_whole),
    "float": _Kind("number", _is_number),
    "str": _Kind("text", lambda value: isinstance(value, str)),
    "Heads": _Kind(
        "way with heads: give 'sum', 'none', or an adapter's name or number",
        lambda value: _is_path(value) or _is_whole(value),
    ),
    "Sequence[str]": _Kind("list of texts", _are_texts),
    "Collection[str]": _Kind("list of texts", _are_texts),
    "str | Collection[str]": _Kind(
        "text, and no list of texts", lambda value: isinstance(value, str) or _are_texts(value)
    ),
    "Tree": _Kind("tree of a base model's names", _is_a("Tree")),
    "Progress": _Kind("function that is told of progress", callable),
}
"""By annotation, as it is written; ` | None` behind it lets None pass. Others are not looked at."""


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse arguments that are not of the plain kind that it is annotated with.

    Before anything is done with them. Raises BadSetting with the argument's name; what no function
    of this signature takes stays Python's own TypeError.

    >>> @typed
    ... def twice(rank: int) -> int:
    ...     return 2 * rank
    >>> twice("4")
    Traceback (most recent call last):
    superpose.errors.BadSetting: rank: '4' is no whole number
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _check(_signature(function).bind(*args, **kwargs).arguments, _kinds(function))
        return function(*args, **kwargs)

    return call


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.cache
def _kinds(function: Callable[..., Any]) -> dict[str, tuple[_Kind, bool]]:
    """Give what is known of each parameter, and whether None passes."""
    found = {}
    for name, parameter in _signature(function).parameters.items():
        text = str(parameter.annotation)
        plain = text.removesuffix(" | None")
        if plain in _KINDS and parameter.kind is not parameter.VAR_POSITIONAL:
            found[name] = _KINDS[plain], plain != text
    return found


def _check(arguments: Mapping[str, Any], kinds: Mapping[str, tuple[_Kind, bool]]) -> None:
    for name, value in arguments.items():
        kind, optional = kinds.get(name, (None, True))
        if kind is not None and not (value is None and optional) and not kind.fits(value):
            raise BadSetting(f"{value!r} is no {kind.called}", where=name)


def as_mapping(value: object, field: str, where: object = None) -> dict[Any, Any]:
    """Give a mapping as a dict of its own. Raises BadInput, with the field, for what is none."""
    if not isinstance(value, Mapping):
        raise BadInput(f"{field} is {type(value).__name__}, not a mapping", where=where)
    return dict(value)


def as_tuple(value: object, field: str, where: object = None) -> tuple[Any, ...]:
    """Give a list, or whatever else is gone through, as a tuple. Raises BadInput for what is none.

    A text and a mapping are none.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise BadInput(f"{field} is {type(value).__name__}, not a sequence", where=where)
    return tuple(value)


def each_is(values: Mapping[str, object], kind: type, where: object = None) -> None:
    """Raise BadInput, with the first name, where a value is not of a class or a name is no text."""
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, kind):
            raise BadInput(f"`{name}` is {type(value).__name__}, not {kind.__name__}", where=where)


def of_kind(value: object, kind: type[T]) -> T:
    """Give a value back. Raises BadInput where it is not of a class."""
    if not isinstance(value, kind):
        raise BadInput(f"{value!r} is no {kind.__name__}")
    return value
