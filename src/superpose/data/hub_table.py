"""A data set on the Hugging Face hub: its name with a configuration, and its records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from superpose.errors import BadInput, Missing, missing_extra
from superpose.files.hub_name import HubName, parse_hub_name

__all__ = ["data_set", "table"]

_TABLES = {".arrow", ".csv", ".gz", ".json", ".parquet", ".tsv", ".zst"}
"""Endings of one file in a data set, which `datasets` reads."""


def data_set(source: str) -> tuple[HubName, str | None]:
    """Split a hub data set's name and configuration: `org/name@revision:config`."""
    start, colon, config = source.rpartition(":")
    if not colon or "/" in config:
        start, config = source, ""
    name = parse_hub_name(start, "dataset")
    if name is None:
        raise BadInput(
            "no such file, and no name of a hub data set",
            where=source,
            hint="Check the path; a hub data set is org/name or org/name:config.",
        )
    return name, config or None


def table(source: str, name: HubName, config: str | None, split: str) -> Iterable[object]:
    """Load a split of a hub data set, of a folder in it, or of one of its files."""
    try:
        import datasets
    except ImportError:
        what = f"{source} is no file here, and reading a hub data set"
        raise missing_extra("datasets", what) from None
    is_file = Path(name.path).suffix in _TABLES
    inside = {"data_files" if is_file else "data_dir": name.path or None}
    try:
        read: Iterable[object] = datasets.load_dataset(
            name.repo, config, split=split, revision=name.revision, **inside
        )
    except (OSError, ValueError, RuntimeError) as error:
        unasked = isinstance(error, ConnectionError)
        raise (Missing if unasked else BadInput)(
            f"no such file, and the hub gives no data set of that name ({_first_line(error)})",
            where=source,
            hint="Check the path; for a hub data set check the name and the network.",
        ) from None
    return read


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
