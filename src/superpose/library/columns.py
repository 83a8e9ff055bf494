"""Arrow's columns, made of buffers: `pyarrow.array` would import pandas wherever that is installed.

That takes longer than a whole answer of `superpose near`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def numbers(values: Any, kind: str) -> pa.Array:
    """Give a column of numbers. kind: NumPy's name of their type."""
    import pyarrow as pa

    held = np.ascontiguousarray(values, kind)
    return pa.Array.from_buffers(_number(kind), len(held), [None, pa.py_buffer(held)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """Give a column of texts; None is null."""
    import pyarrow as pa

    raw = [b"" if value is None else value.encode() for value in values]
    there = np.packbits(np.array([v is not None for v in values], bool), bitorder="little")
    buffers = [pa.py_buffer(there), _ends(map(len, raw), len(raw)), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(pa.string(), len(raw), buffers)


def lists(lengths: Sequence[int], values: pa.Array) -> pa.Array:
    """Give a column of lists, of so many values each."""
    import pyarrow as pa

    buffers = [None, _ends(lengths, len(lengths))]
    kind = pa.list_(values.type)
    return pa.Array.from_buffers(kind, len(lengths), buffers, children=[values])


def records(columns: dict[str, pa.Array]) -> pa.Array:
    """Give a column of records of these fields."""
    import pyarrow as pa

    kind = pa.struct([(name, column.type) for name, column in columns.items()])
    count = len(next(iter(columns.values())))
    return pa.Array.from_buffers(kind, count, [None], children=list(columns.values()))


def table_of(columns: dict[str, pa.Array]) -> pa.Table:
    """Give the table of these columns."""
    import pyarrow as pa

    schema = pa.schema([(name, column.type) for name, column in columns.items()])
    batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)
    return pa.Table.from_batches([batch])


def as_numpy(column: Any) -> Any:
    """Give a column of numbers without nulls as a NumPy array that may be read."""
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    if len(chunks) == 1:
        return _of_chunk(chunks[0])
    return np.concatenate([np.empty(0, _name(column.type)), *map(_of_chunk, chunks)])


def _of_chunk(chunk: Any) -> Any:
    values = np.frombuffer(chunk.buffers()[1] or b"", _name(chunk.type))
    return values[chunk.offset : chunk.offset + len(chunk)]


def _number(kind: str) -> Any:
    import pyarrow as pa

    return {"int64": pa.int64, "int32": pa.int32, "float32": pa.float32, "float64": pa.float64}[
        kind
    ]()


def _name(kind: Any) -> str:
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def _ends(lengths: Any, count: int) -> Any:
    import pyarrow as pa

    ends = np.zeros(count + 1, np.int32)
    np.cumsum(np.fromiter(lengths, np.int64, count), out=ends[1:], dtype=np.int32)
    return pa.py_buffer(ends)
