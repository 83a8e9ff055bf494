"""The index on disk: a manifest, and one Parquet file with a row for each adapter.

A row stands whole or not at all: files are written beside and renamed. While adapters are read,
what is known lies in `parts/`, so that a run that was ended goes on where it stood. DuckDB, polars
or pandas read the file without superpose; the columns are those of `LibraryEntry`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose._version import __version__
from superpose.errors import BadInput, missing_extra
from superpose.executor.locks import locked_file
from superpose.files import new_file
from superpose.files.json_values import read_json
from superpose.files.unfinished import put_in_order_below
from superpose.library.columns import as_numpy, lists, numbers, records, table_of, texts
from superpose.library.entry import LibraryEntry
from superpose.library.groups import Groups

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST, TABLE, PARTS, PAIRS = "manifest.json", "adapters.parquet", "parts", "pairs"

LOCK = ".lock"  # which `work_status` looks at too

_PATIENCE = 0.3
"""Seconds: one who looks whether anyone is at work holds the lock for a moment."""

FORMAT = 1
"""Of the index; another one is refused."""

_GROUPS = b"superpose groups"
_NUMBERS = {
    "number": "int64",
    "rank": "int64",
    "parameters": "int64",
    "norm": "float64",
    "stored": "int64",
    "starts_norm": "float64",
}
_TEXTS = ("name", "given", "stamp", "content", "base_model", "base", "format", "dtypes", "made",
          "problem", "remark")  # fmt: skip
_SKETCHES = ("sketch", "starts")
_OF_MODULES = "module out_features in_features rank place".split()

_REPEATED = [*_TEXTS, *(f"modules.list.element.{name}" for name in _OF_MODULES)]
"""Columns that hold few values many times. A dictionary of any other costs as much time as all the
rest of writing, and half as much room again."""

_LARGEST = 1e6
"""Far above what a sketch of a vector of length 1 holds."""

_IN_MANIFEST: dict[str, Callable[[Any], bool]] = {
    "seed": lambda x: type(x) is int and x >= 0,
    "sketch": lambda x: type(x) is int and 0 < x <= 1 << 20,
    "sources": lambda x: isinstance(x, list) and all(isinstance(one, str) for one in x),
}
"""What a manifest holds, and whether a value is one that was written."""

_DAMAGED = "It is damaged: remove the index, and make it again with superpose index."


def arrow() -> Any:
    """Import pyarrow with its Parquet; raises MissingExtra without it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise missing_extra(error.name, "an index of adapters") from error
    return pa


@contextmanager
def at_work_on(index: Path) -> Iterator[None]:
    """Keep others from writing an index, which is made; the system lets go when we are killed.

    What a killed run was writing there is removed, and told by a SuperposeWarning. Raises BadInput
    where another process is at work there.
    """
    index.mkdir(parents=True, exist_ok=True)
    with locked_file(index / LOCK, _PATIENCE) as ours:
        if not ours:
            hint = "Wait for it, or end it first: what it has finished is kept."
            raise BadInput("another process is at work on this index", where=index, hint=hint)
        put_in_order_below(index)
        yield


def read_manifest(index: Path) -> dict[str, Any]:
    """Read an index's manifest.

    Raises BadInput for a folder that is no index, or one of another version.
    """
    path = index / MANIFEST
    if not path.is_file():
        if not index.exists():
            hint = f"Make one: superpose index FOLDER -o {index}"
            raise BadInput("no such index", where=index, hint=hint)
        hint = "Make one where nothing lies: superpose index FOLDER -o NEW.index"
        raise BadInput("is no index of adapters", where=index, hint=hint)
    try:
        found = read_json(path)
    except BadInput as error:
        raise BadInput(error.problem, where=path, hint=_DAMAGED) from error
    if found.get("format") != FORMAT:
        raise BadInput(
            f"is an index of format {found.get('format')!r}, made by superpose "
            f"{found.get('superpose', '?')}; this superpose reads format {FORMAT}",
            where=index,
            hint="Index the folders anew into another folder: superpose index FOLDER -o NEW.index",
        )
    if wrong := [key for key, is_one in _IN_MANIFEST.items() if not is_one(found.get(key))]:
        raise BadInput(f"has no {' and no '.join(wrong)}", where=path, hint=_DAMAGED)
    return found


def write_manifest(index: Path, sources: Sequence[str], seed: int, size: int) -> None:
    """Write the manifest: format, version, seed and size of the sketches, what was indexed."""
    told = {
        "format": FORMAT,
        "superpose": __version__,
        "seed": seed,
        "sketch": size,
        "sources": list(sources),
        "table": TABLE,
    }
    with new_file(index / MANIFEST) as path:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def write_rows(path: Path, table: pa.Table, groups: Groups) -> None:
    """Write rows, with the groups in the file's metadata."""
    pa = arrow()
    with new_file(path) as part:
        told = table.replace_schema_metadata({_GROUPS: groups.to_json().encode()})
        pa.parquet.write_table(
            told,
            part,
            compression="zstd",
            use_dictionary=_REPEATED,
            write_page_checksum=True,
        )


def rows_on_disk(path: Path, *, modules: bool = True) -> tuple[pa.Table, Groups]:
    """Read rows and groups; BadInput for a file that is damaged. modules: their column as well."""
    pa = arrow()
    columns = None if modules else [*_NUMBERS, *_TEXTS, *_SKETCHES]
    try:
        file = pa.parquet.ParquetFile(path, page_checksum_verification=True)
        table = file.read(columns)
        if missing := {*_NUMBERS, *_TEXTS, *_SKETCHES} - set(table.column_names):
            raise KeyError(f"no column {min(missing)}")
        groups = Groups.of_json(table.schema.metadata[_GROUPS].decode())
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise BadInput(
            f"is no table of an index ({error})",
            where=path,
            hint=_DAMAGED,
        ) from error
    return table, groups


def as_table(entries: Sequence[LibraryEntry]) -> pa.Table:
    """Give entries as rows."""
    plain = {n: numbers([getattr(e, n) for e in entries], kind) for n, kind in _NUMBERS.items()}
    words = {name: texts([getattr(entry, name) for entry in entries]) for name in _TEXTS}
    return table_of(
        {
            **plain,
            **words,
            **{name: _vectors([getattr(entry, name) for entry in entries]) for name in _SKETCHES},
            "modules": _modules(entries),
        }
    )


def entries_of(table: pa.Table) -> list[LibraryEntry]:
    """Give the rows as entries, without their modules and sketches, which stay in the table."""
    return [LibraryEntry(**record) for record in table.select([*_NUMBERS, *_TEXTS]).to_pylist()]


def all_rows(tables: Sequence[pa.Table]) -> pa.Table:
    """Give all rows one below the other."""
    return arrow().concat_tables([t.replace_schema_metadata(None) for t in tables])


def with_changes(table: pa.Table, rows: Sequence[tuple[LibraryEntry, int]]) -> pa.Table:
    """Give chosen rows, each with the number, place, name, stamp and content of an entry."""
    chosen = chosen_rows(table, [row for _, row in rows])
    for name in ("number", "name", "given", "stamp", "content"):
        values = [getattr(entry, name) for entry, _ in rows]
        column = numbers(values, "int64") if name == "number" else texts(values)
        chosen = chosen.set_column(chosen.schema.get_field_index(name), name, column)
    return chosen


def chosen_rows(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """Give rows of a table, in the order asked for."""
    if list(rows) == list(range(table.num_rows)):
        return table
    return table.take(numbers(list(rows), "int64"))


def in_order(table: pa.Table) -> pa.Table:
    """Give the rows by their numbers."""
    return chosen_rows(table, np.argsort(as_numpy(table["number"])).tolist())


def stale_rows(table: pa.Table, groups: Groups) -> list[int]:
    """Give the rows with a module that their group goes by another name."""
    modules = table["modules"].combine_chunks()
    if len(modules) == 0:
        return []
    names = modules.values.field("module").dictionary_encode()
    words = names.dictionary.to_pylist()
    known = {base: {w for w, word in enumerate(words) if word in skeleton}
             for base, skeleton in groups.skeletons.items()}  # fmt: skip
    codes, ends = as_numpy(names.indices), as_numpy(modules.offsets)
    return [
        row for row, base in enumerate(table["base"].to_pylist())
        if not set(codes[ends[row] : ends[row + 1]].tolist()) <= known.get(base, set())
    ]  # fmt: skip


def matrix_of(table: pa.Table, column: str) -> Any:
    """Give the sketches of rows that all have one: (N, size), float32.

    Raises BadInput where they hold what no sketch of a vector of length 1 does.
    """
    chunks = [as_numpy(chunk.flatten()) for chunk in table[column].chunks]
    flat = chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, np.float32), *chunks])
    rows = table.num_rows
    if rows == 0:
        return flat.reshape(0, 0)
    # Not a number is in no interval.
    if flat.size % rows or (flat.size and not -_LARGEST < flat.min() <= flat.max() < _LARGEST):
        raise BadInput("holds other numbers than those of vectors of length 1", where=column)
    return flat.reshape(rows, -1)


def _vectors(values: Sequence[Any]) -> pa.Array:
    held = [np.empty(0, np.float32) if value is None else value for value in values]
    whole = np.concatenate([np.empty(0, np.float32), *held])
    return lists([len(value) for value in held], numbers(whole, "float32"))


def _modules(entries: Sequence[LibraryEntry]) -> pa.Array:
    found = [module for entry in entries for module in entry.modules]
    sizes = numbers([size for module in found for size in module.sizes], "float64")
    places = [None if m.place is None else json.dumps(asdict(m.place)) for m in found]
    fields = {
        "module": texts([module.key for module in found]),
        "out_features": numbers([module.shape[0] for module in found], "int64"),
        "in_features": numbers([module.shape[1] for module in found], "int64"),
        "rank": numbers([module.rank for module in found], "int64"),
        "place": texts(places),
        "sizes": lists([len(module.sizes) for module in found], sizes),
    }
    return lists([len(entry.modules) for entry in entries], records(fields))
