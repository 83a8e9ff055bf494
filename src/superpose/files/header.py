"""The header of a safetensors file: what it announces, checked before a byte of data is believed.

A file is 8 bytes (little-endian length N), N bytes of JSON, then the data. The JSON maps each
tensor's name to dtype, shape and its two offsets into the data; `__metadata__` maps strings to
strings. Source: https://github.com/huggingface/safetensors#format. Parsed here and not by the
safetensors library because its Python side reads bfloat16 into no NumPy array without a copy and
hands out no offsets; the tests hold the two against each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from superpose.errors import BadInput
from superpose.files.text import check_characters

MAX_HEADER = 24_000_000
"""Bytes: 160,000 tensors, LoRA on every expert of the largest models. Python's objects take up to
25 times as much memory; the safetensors library itself reads up to 100 MB."""

MAX_NAME = 1024
"""Characters of a tensor's name; a real one has a hundred or so."""

MAX_DIMENSIONS = 32
"""NumPy 1 knows no more, and a factor has two."""

SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
"""Bytes of one value of each dtype that a safetensors header may name."""


class TensorEntry(NamedTuple):
    """One tensor as announced: dtype as spelled in the header, shape, and its bytes in the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """All tensors in the order of their bytes, and the file's metadata."""

    entries: dict[str, TensorEntry]
    metadata: dict[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, by name."""
        return {name: entry.shape for name, entry in self.entries.items()}

    @property
    def stored(self) -> int:
        """Bytes of all tensors together."""
        return sum(entry.end - entry.begin for entry in self.entries.values())


def parse_header(text: bytes, data_length: int) -> Header:
    """Parse the JSON of a header whose data is `data_length` bytes long.

    Raises BadInput (a reason alone, the caller knows the file) when the JSON is not a header, or
    the tensors leave a hole, overlap, or announce more or fewer bytes than there are.
    """
    raw = _json_object(text)
    _check_names(raw, text)
    metadata = _metadata(raw.pop("__metadata__", None))
    entries = {name: _entry(name, value) for name, value in raw.items()}
    ordered = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    _check_layout(ordered, data_length)
    return Header(ordered, metadata)


def write_header(entries: Mapping[str, TensorEntry], metadata: Mapping[str, str]) -> bytes:
    """Give the bytes that stand before the data: length and JSON, padded to a multiple of 8."""
    fields: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, entry in entries.items():
        fields[name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [entry.begin, entry.end],
        }
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that every tensor starts aligned, as the format asks
    return len(text).to_bytes(8, "little") + text


def _json_object(text: bytes) -> dict[str, object]:
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the header of this safetensors file is not readable ({error})") from error
    if not isinstance(value, dict):
        raise BadInput("the header of this safetensors file is not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands in it twice")
    return fields


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise BadInput("`__metadata__` of this safetensors file is not a mapping of strings")
    return value


def _check_names(raw: Mapping[str, object], text: bytes) -> None:
    for name in raw:
        if len(name) > MAX_NAME:
            raise BadInput(
                f"a tensor's name has {len(name):,} characters ({name[:40]!r}...); "
                f"at most {MAX_NAME:,} are read"
            )
    check_characters(raw, text)
    for name in raw:
        if not name.isprintable():
            raise BadInput(f"the name of tensor {name!r} holds what cannot be printed")


def _entry(name: str, value: object) -> TensorEntry:
    if not isinstance(value, dict):
        raise BadInput(f"the header says nothing usable about tensor `{name}`")
    dtype, shape, offsets = (value.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise BadInput(f"tensor `{name}` has the unknown dtype {str(dtype)[:40]!r}")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise BadInput(f"tensor `{name}` has no usable shape or offsets")
    if len(shape) > MAX_DIMENSIONS:
        raise BadInput(f"tensor `{name}` has {len(shape):,} dimensions")
    entry = TensorEntry(dtype, tuple(shape), *offsets)
    if entry.end - entry.begin != math.prod(entry.shape) * SIZES[dtype]:
        raise BadInput(f"tensor `{name}` announces {entry.shape} {dtype} in the wrong space")
    return entry


def _whole_numbers(value: object) -> TypeGuard[list[int]]:
    # bool is an int for Python, not for this format.
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _check_layout(entries: Mapping[str, TensorEntry], data_length: int) -> None:
    at = 0
    for name, entry in entries.items():
        if entry.begin != at:
            raise BadInput(f"tensor `{name}` does not start where the one before it ends")
        at = entry.end
    if at > data_length:
        raise BadInput(f"truncated: {at:,} bytes of tensors are announced, {data_length:,} present")
    if at < data_length:
        raise BadInput(f"{data_length - at:,} bytes after the last tensor belong to none")
