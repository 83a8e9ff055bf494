"""docs/prediction.md is what is made of the tournament's committed record."""

from __future__ import annotations

import json

from benchmarks.prediction.brief import COMMAND, brief
from benchmarks.prediction.page import PAGE, page
from benchmarks.prediction.tournament import RECORD
from benchmarks.readme import block_of


def test_the_page_is_what_the_record_says() -> None:
    """Neither lies here without the other."""
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    made = page(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.exists() else None
    assert found == made, "run `python -m benchmarks.prediction page`"


def test_the_readme_says_what_the_record_says() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert block_of(COMMAND) == brief(record), "run `python -m benchmarks.prediction page`"
