"""The header of a GGUF file: metadata and tensors as announced, before a byte of data is believed.

Magic, version, two counts, key-value pairs, tensor infos, padding, data; everything little-endian.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Parsed here because the `gguf`
package's reader trusts counts and lengths: a count of 2^60 keeps it busy until memory ends. What is
skipped here is never held.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from superpose.errors import BadInput, placed
from superpose.files.json_values import LFS_START, lfs_pointer
from superpose.files.tensors import opened

MetadataValue: TypeAlias = "str | int | float | bool | tuple[int | float, ...] | None"
"""Of a metadata key; None for an array of strings, or one too long to be of use here."""

MAX_TENSORS = 200_000
MAX_KEYS = 10_000
MAX_STRING = 10_000_000
"""Bytes of one string; a chat template has a few thousand."""
MAX_STRINGS = 2_000_000
"""Strings in arrays of one file: a base model lists its vocabulary, and pairs of it to merge."""
MAX_KEPT = 64_000_000
"""Bytes of all metadata that is kept, numbers counted as Python holds them."""
MAX_NAME = 63
"""Bytes of a tensor's name. Source: GGML_MAX_NAME in ggml.h."""
_KEPT = 4096
_OBJECT = 40
_LARGEST_ALIGNMENT = 1 << 16

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_NUMBERS[12] = "d"
_STRING, _ARRAY = 8, 9

F32, F16, Q8_0, F64, BF16 = 0, 1, 8, 28, 30
BLOCKS = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34), F64: (1, 8), BF16: (1, 2)}
"""Tensor types an adapter comes in: values of one block, and its bytes. Source: ggml.c."""


class GgufTensor(NamedTuple):
    """One tensor as announced: ggml's number of its type, its shape as NumPy's, its first byte."""

    type: int
    shape: tuple[int, ...]
    offset: int


class GgufHeader(NamedTuple):
    """What a file announces. tensors: in the file's order, offsets counted from `data`.

    keys: of each metadata key the bytes of the file that it and its value take, (begin, end).
    """

    metadata: dict[str, MetadataValue]
    tensors: dict[str, GgufTensor]
    data: int
    alignment: int
    size: int
    keys: dict[str, tuple[int, int]]


def read_gguf_header(path: Path) -> GgufHeader:
    """Read what a GGUF file announces.

    Raises BadInput, naming the file, when it is missing, no GGUF file of version 2 or 3, ends too
    early, or announces more than `MAX_...` allow.
    """
    with placed(path), opened(path) as file:
        return _Reader(file).header()


class _Reader:
    """Takes numbers and strings off a file, never more than it has left."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = self.size = os.fstat(file.fileno()).st_size
        self.strings = self.kept = 0

    def header(self) -> GgufHeader:
        start = self.file.read(64)
        self.file.seek(0)
        if not start.startswith(b"GGUF"):
            raise _not_gguf(start, self.size)
        self.take(4)
        _check_version(self.number("I"))
        tensors, keys = self.count("tensors", MAX_TENSORS), self.count("metadata keys", MAX_KEYS)
        metadata: dict[str, MetadataValue] = {}
        spans: dict[str, tuple[int, int]] = {}
        for _ in range(keys):
            begin = self.size - self.left
            key = self.string("a metadata key")
            if key in metadata:
                raise BadInput(f"has the metadata key `{key}` twice")
            metadata[key] = self.value(self.number("I"), key)
            spans[key] = begin, self.size - self.left
        found: dict[str, GgufTensor] = {}
        for _ in range(tensors):
            name, tensor = self.tensor()
            if name in found:
                raise BadInput(f"has the tensor `{name}` twice")
            found[name] = tensor
        alignment = _alignment(metadata)
        end = self.size - self.left
        data = -(-end // alignment) * alignment
        return GgufHeader(metadata, found, data, alignment, self.size, spans)

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise BadInput(f"truncated: its header goes on behind its {self.size:,} bytes")
        taken = self.file.read(count)
        self.left -= len(taken)
        if len(taken) < count:
            raise BadInput("the file became shorter while it was read")
        return taken

    def skip(self, count: int) -> None:
        if count > self.left:
            raise BadInput(f"truncated: its header goes on behind its {self.size:,} bytes")
        self.file.seek(count, os.SEEK_CUR)
        self.left -= count

    def number(self, code: str) -> int:
        (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return int(value)

    def count(self, what: str, most: int) -> int:
        count = self.number("Q")
        if count > most:
            raise BadInput(f"announces {count:,} {what}; at most {most:,} are read")
        return count

    def keep(self, count: int) -> None:
        self.kept += count
        if self.kept > MAX_KEPT:
            raise BadInput(f"has more metadata than the {MAX_KEPT:,} bytes that are read")

    def string(self, what: str) -> str:
        length = self.number("Q")
        if length > MAX_STRING:
            raise BadInput(f"{what} has {length:,} bytes; at most {MAX_STRING:,} are read")
        self.keep(length)
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"{what} is no UTF-8 text") from None

    def value(self, kind: int, key: str) -> MetadataValue:
        if kind in _NUMBERS:
            code = _NUMBERS[kind]
            (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
            number: int | float | bool = value
            return number
        if kind == _STRING:
            return self.string(f"`{key}`")
        if kind == _ARRAY:
            return self.array(self.number("I"), key)
        raise BadInput(f"`{key}` is of the unknown type {kind}")

    def array(self, kind: int, key: str) -> MetadataValue:
        length = self.number("Q")
        if kind in _NUMBERS:
            size = struct.calcsize(f"<{_NUMBERS[kind]}")
            if length > _KEPT:
                self.skip(length * size)
                return None
            self.keep(length * _OBJECT)
            return struct.unpack(f"<{length}{_NUMBERS[kind]}", self.take(length * size))
        if kind != _STRING:
            raise BadInput(f"`{key}` is an array of the unknown type {kind}")
        self.strings += length
        if self.strings > MAX_STRINGS:
            raise BadInput(f"`{key}` is an array of {length:,} strings, too many to be passed over")
        for _ in range(length):
            self.skip(self.number("Q"))
        return None

    def tensor(self) -> tuple[str, GgufTensor]:
        name = self.string("a tensor's name")
        if not 0 < len(name.encode()) <= MAX_NAME or not name.isprintable():
            raise BadInput(f"has a tensor called {name[:80]!r}, which no tensor can be called")
        dimensions = self.number("I")
        if not 1 <= dimensions <= 4:
            raise BadInput(f"tensor `{name}` has {dimensions:,} dimensions")
        shape = tuple(self.number("Q") for _ in range(dimensions))
        if math.prod(shape) >= 1 << 63:
            raise BadInput(f"tensor `{name}` has the impossible shape {shape}")
        kind = self.number("I")
        return name, GgufTensor(kind, shape[::-1], self.number("Q"))


def _check_version(version: int) -> None:
    if version in (2, 3):
        return
    if version & 0xFFFF == 0:
        raise BadInput("is a big-endian GGUF file; superpose reads little-endian ones")
    raise BadInput(f"is of GGUF version {version:,}; versions 2 and 3 are read")


def _alignment(metadata: dict[str, MetadataValue]) -> int:
    value = metadata.get("general.alignment", 32)
    good = type(value) is int and 0 < value <= _LARGEST_ALIGNMENT and value & (value - 1) == 0
    if not good or not isinstance(value, int):
        raise BadInput(f"`general.alignment` is {str(value)[:40]}, no power of two")
    return value


def _not_gguf(start: bytes, size: int) -> BadInput:
    if start.startswith(LFS_START):
        return lfs_pointer()
    if start.startswith((b"algg", b"ggla")):
        return BadInput(
            "is a GGML adapter of 2023, which llama.cpp itself no longer reads",
            hint="Convert the PEFT folder it was made from.",
        )
    if start.lstrip()[:1] == b"<":
        return BadInput("is a web page, not GGUF; the download went wrong")
    if start[8:9] == b"{":
        return BadInput("is a safetensors file, not GGUF, whatever its name says")
    return BadInput(f"is not a GGUF file ({size:,} bytes)")
