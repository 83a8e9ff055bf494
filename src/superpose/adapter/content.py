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
