"""JSON: objects read from files, and figures as it can hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, placed
from superpose.files.text import check_characters

MAX_JSON = 50_000_000
"""Bytes of a file; the index of a trillion parameters has some megabytes."""

LFS_START = b"version https://git-lfs"
"""First bytes of the pointer that Git leaves where a large file has not been fetched."""


def read_json(path: Path, most: int = MAX_JSON) -> dict[str, Any]:
    """Read the JSON object that a file holds; BadInput, naming the file, for anything else."""
    with placed(path):
        # Before opening: opening a named pipe waits for somebody to write into it.
        if not path.is_file():
            raise BadInput("is not a file")
        if path.stat().st_size > most:
            raise BadInput(f"is far too large: {most:,} bytes are read")
        raw = path.read_bytes()
        if raw.startswith(LFS_START):
            raise lfs_pointer()
        return json_object(raw)


def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object; BadInput for anything else, and for text that no file can hold."""
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadInput("holds no JSON object")
    check_characters(value, raw)
    return value


def lfs_pointer(path: Path | None = None) -> BadInput:
    """Give the error of a file of which Git LFS has fetched no more than a pointer."""
    return BadInput(
        "is a Git LFS pointer in place of the file",
        where=path,
        hint="Fetch it: git lfs install && git lfs pull",
    )


def gathered(value: object) -> object:
    """Give an iterator's items as a list; anything else as it is."""
    return list(value) if isinstance(value, Iterator) else value


def without_nan(value: object) -> object:
    """Give dicts, lists and scalars in which each NaN and infinity is None.

    JSON has no word for either: a figure that does not exist is null.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
