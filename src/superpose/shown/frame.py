"""Results as pandas DataFrames: the lists of `to_json()`, a row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting, MissingExtra

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of", "rows_of_table"]

Row = dict[str, Any]


def frame_of(found: Mapping[str, Any], main: str, table: str | None) -> pd.DataFrame:
    """Give a table of what a result's `to_json()` holds; `Framed.to_frame` says how, and raises.

    main: the one that None means.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra(
            "to_frame needs pandas, which is not installed",
            hint="Install it with: pip install pandas",
        ) from None
    asked = main if table is None else table
    there = _tables(found)
    if asked not in there and (table is not None or asked.partition(".")[0] not in found):
        hint = f"It has: {', '.join(sorted(there))}." if there else None
        raise BadSetting(f"{asked!r} is no table of this result", where="table", hint=hint)
    return pd.DataFrame.from_records(list(rows_of_table(found, asked)))


def _is_table(value: object) -> bool:
    """Say whether a value is a list of records; an empty list may be one."""
    return isinstance(value, list | tuple) and all(isinstance(one, Mapping) for one in value)


def _tables(found: Mapping[str, Any]) -> dict[str, None]:
    """Give the names of all lists of records, in their order."""
    names: dict[str, None] = {}
    for key, value in found.items():
        if _is_table(value) and value:
            names[key] = None
            inner = (name for one in value for name in one if _is_table(one[name]) and one[name])
            names.update({f"{key}.{name}": None for name in inner})
    return names


def rows_of_table(found: Mapping[str, Any], table: str) -> Iterator[Row]:
    """Give the records of a table of what a result's `to_json()` holds, as `frame_of` has them."""
    outer, _, inner = table.partition(".")
    for entry in found.get(outer, ()):
        if not inner:
            yield _flat(entry)
            continue
        own = {
            f"{outer}.{key}": value
            for key, value in _flat(entry).items()
            if not isinstance(value, tuple)  # which every row would repeat
        }
        for one in entry.get(inner, ()):
            yield {**own, **_flat(one)}


def _flat(record: Mapping[str, Any], before: str = "") -> Row:
    """Give one level: mappings become columns, lists of words or numbers tuples."""
    row: Row = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            row.update(_flat(value, f"{before}{key}."))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if not (value and _is_table(value)):
                row[f"{before}{key}"] = tuple(value)
        else:
            row[f"{before}{key}"] = value
    return row
