"""The two records of the merge methods, and the page that is made of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.methods.page import write_page
from benchmarks.result import RESULTS, write_record

__all__ = ["ARENA", "INPUTS", "recorded", "write_recorded"]

ARENA = RESULTS / "methods.json"

INPUTS = RESULTS / "inputs.json"


def recorded(file: Path) -> dict[str, Any] | None:
    """Read a record; None where it was not judged yet."""
    if not file.exists():
        return None
    return dict(json.loads(file.read_text(encoding="utf-8")))


def write_recorded(file: Path, record: Mapping[str, Any]) -> None:
    """Write one of the records, and the page of both."""
    write_record(file, record)
    write_page(recorded(ARENA), recorded(INPUTS))
