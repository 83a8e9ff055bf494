"""The new GGUF model's file: metadata as the base has it, tensors in the base's order.

Magic, version, counts, metadata, tensors as announced, padding, data; little-endian.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from numpy.typing import NDArray

from superpose.adapter import Adapter
from superpose.errors import BadInput, Refused, placed
from superpose.files import new_file
from superpose.files.room import check_model_room
from superpose.files.tensors import opened, read_bytes
from superpose.formats.gguf.header import GgufHeader, GgufTensor
from superpose.formats.gguf.model_plan import ModelPlan, NewGgufTensor
from superpose.formats.gguf.model_rows import Rounded, ends_early, new_blocks
from superpose.formats.gguf.values import type_of
from superpose.formats.noted import KEY, note_of

Array = NDArray[Any]

_COPIED = 1 << 22
_SPARE = 1 << 20
_STRING = 8


class _Entry(NamedTuple):
    """A tensor of the new file. begin, size: of the base's bytes where they are copied."""

    name: str
    shape: tuple[int, ...]
    type: int
    begin: int
    size: int
    new: NewGgufTensor | None


def write_model(
    base: Path,
    header: GgufHeader,
    plan: ModelPlan,
    adapter: Adapter,
    target: Path,
    rounded: Rounded,
    progress: Callable[[int, int], object] | None,
) -> int:
    """Write the model, whole or not at all, and give its bytes.

    rounded: gets what is added and lost. Raises BadInput as `new_blocks`, and where the disk has no
    room.
    """
    with placed(base), opened(base) as file:
        entries = list(_entries(header, plan))
        start = _start(file, header, adapter, entries)
    total = len(start) + sum(_padded(e.size, header.alignment) for e in entries)
    check_model_room(target, total, _SPARE)
    with placed(base), opened(base) as file, new_file(target) as part, part.open("wb") as out:
        out.write(start)
        for entry in entries:
            for block in _blocks(file, header, entry, rounded):
                out.write(block.data)
                if progress is not None:
                    progress(out.tell(), total)
            out.write(bytes(-out.tell() % header.alignment))
        out.flush()
        os.fsync(out.fileno())
        return out.tell()


def _entries(header: GgufHeader, plan: ModelPlan) -> Iterator[_Entry]:
    """Give all tensors, the base's in its order and what is new behind them."""
    extents = _extents(header)
    for name, found in header.tensors.items():
        begin, size = extents[name]
        new = plan.changed.get(name)
        if new is None:
            yield _Entry(name, found.shape, found.type, begin, size, None)
        else:
            yield _changed(new, begin)
    for name, new in plan.changed.items():
        if name not in header.tensors:
            yield _changed(new, extents[new.source][0])


def _changed(new: NewGgufTensor, begin: int) -> _Entry:
    size = new.rows * new.type.row_bytes(new.columns)
    return _Entry(new.name, new.shape, new.type.number, begin, size, new if new.addends else None)


def _extents(header: GgufHeader) -> dict[str, tuple[int, int]]:
    """Give where each tensor's bytes begin and how many there are.

    Of a type that nobody here knows, to the next one's begin: it is copied like any other. Raises
    BadInput for a tensor that does not lie within the file, or reaches into the next.
    """
    ordered = sorted(header.tensors, key=lambda name: header.tensors[name].offset)
    begins = [header.data + header.tensors[name].offset for name in ordered]
    ends = [*begins[1:], header.size]
    extents = {}
    for name, begin, end in zip(ordered, begins, ends, strict=True):
        size = _size(header.tensors[name], end - begin)
        if begin % header.alignment or not 0 < size <= end - begin:
            raise BadInput(
                f"truncated, or damaged: tensor `{name}` does not lie within its "
                f"{header.size:,} bytes"
            )
        extents[name] = begin, size
    return extents


def _size(tensor: GgufTensor, most: int) -> int:
    """Give the bytes of a tensor; `most` where its type is unknown."""
    try:
        kind = type_of(tensor.type)
    except Refused:
        return most
    return math.prod(tensor.shape[:-1]) * kind.row_bytes(tensor.shape[-1])


def _start(file: BinaryIO, header: GgufHeader, adapter: Adapter, entries: list[_Entry]) -> bytes:
    """Give all that stands before the data."""
    kept = [span for key, span in header.keys.items() if key != KEY]
    pieces = []
    for begin, end in kept:
        file.seek(begin)
        pieces.append(file.read(end - begin))
    note = _text(KEY) + struct.pack("<I", _STRING) + _text(note_of(adapter, 0.0))
    file.seek(0)
    start = [file.read(8), struct.pack("<QQ", len(entries), len(kept) + 1), *pieces, note]
    offset = 0
    for entry in entries:
        shape = entry.shape[::-1]
        start.append(_text(entry.name) + struct.pack("<I", len(shape)))
        start.append(struct.pack(f"<{len(shape)}QIQ", *shape, entry.type, offset))
        offset += _padded(entry.size, header.alignment)
    whole = b"".join(start)
    return whole + bytes(-len(whole) % header.alignment)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _blocks(file: BinaryIO, header: GgufHeader, entry: _Entry, rounded: Rounded) -> Iterator[Array]:
    """Give a tensor's bytes: the base's own, or new ones."""
    if entry.new is not None:
        yield from new_blocks(file, header, entry.new, rounded)
        return
    for done in range(0, entry.size, _COPIED):
        file.seek(entry.begin + done)
        yield read_bytes(file, min(_COPIED, entry.size - done), ends_early(entry.name))
