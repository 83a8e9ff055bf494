"""What an adapter holds, as one fingerprint: it tells two of one name and one norm apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from superpose.adapter.adapter import Adapter
from superpose.lowrank.to_numpy import to_numpy


def content_mark(adapter: Adapter) -> str:
    """Give the SHA-256 of what an adapter does to its base, in hexadecimal.

    Over every delta's coefficients and factors and every replacement, as they are held: the same
    file gives the same, in whatever folder it lies; another split of the same delta gives another.
    """
    import hashlib  # OpenSSL's, which most commands never ask for

    digest = hashlib.sha256()
    for part in _parts({"deltas": adapter.deltas, "replacements": adapter.replacements}):
        digest.update(part)
    return digest.hexdigest()


def same_content(a: Adapter, b: Adapter) -> bool:
    """Say whether two adapters of one base model hold the same, number for number."""
    return a.base_model == b.base_model and all(
        _same(getattr(a, name), getattr(b, name)) for name in ("tied", "deltas", "replacements")
    )


def _same(one: Any, other: Any) -> bool:
    """Say whether two values hold the same; arrays are read, and only where all else agrees."""
    if one is other:
        return True
    if is_torch_array(one) and is_torch_array(other):
        one, other = to_numpy(one.double()), to_numpy(other.double())
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if type(one) is not type(other):
        return False
    held = _held(one)
    if held is None:
        return bool(one == other)
    others = _held(other) or []
    return len(held) == len(others) and all(map(_same, held, others))


def _parts(value: Any) -> Iterator[bytes]:
    """Give a value's bytes, part by part, each behind what it is and how many."""
    if is_torch_array(value):
        value = to_numpy(value.double())
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.name} {value.shape};".encode()
        yield value.tobytes()
        return
    kind, held = type(value).__name__, _held(value)
    if held is None:
        text = repr(value).encode()
        yield f"{kind} {len(text)};".encode() + text
        return
    yield f"{kind} of {len(held)};".encode()
    for each in held:
        yield from _parts(each)


def _held(value: Any) -> list[Any] | None:
    """Give what a value is made of; None of a word or a number."""
    if isinstance(value, Mapping):
        return [each for key in sorted(value) for each in (key, value[key])]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return None
