"""docs/methods.md is what is made of the committed records of the merge methods."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.methods.judge_inputs import INPUT_ROWS, judged_inputs
from benchmarks.methods.page import COMMAND, PAGE, brief, page
from benchmarks.methods.records import ARENA, INPUTS, recorded
from benchmarks.methods.rows import ROWS, recorded_rows
from benchmarks.methods.ways import REFERENCE
from benchmarks.readme import block_of
from tests.inputs_recomputed import check_record

ROOT = Path(__file__).resolve().parents[2]


def test_the_methods_page_is_what_the_records_say_and_is_found() -> None:
    """Neither lies here without the other, nor a record without its row losses."""
    arena, inputs = recorded(ARENA), recorded(INPUTS)
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    made = page(arena, inputs) if arena or inputs else None
    assert found == made, "run `python -m benchmarks.methods again`"
    assert (ROWS.exists(), INPUT_ROWS.exists()) == (arena is not None, inputs is not None)
    for place, said in (
        ("mkdocs.yml", ": methods.md"),
        ("benchmarks/README.md", "docs/methods.md"),
    ):
        assert (said in (ROOT / place).read_text(encoding="utf-8")) == PAGE.exists(), place


def test_the_readme_says_of_tuned_weights_what_the_record_says() -> None:
    """One table: the same sums for every row, by the very commands."""
    arena = recorded(ARENA)
    assert arena is not None
    assert block_of(COMMAND) == brief(arena), "run `python -m benchmarks.methods again`"


def test_anybody_can_recompute_what_regmean_needs_from_the_row_losses() -> None:
    """Every interval too: run `python -m benchmarks.methods again` where it is not."""
    record = recorded(INPUTS)
    if record is not None:
        check_record(record, INPUT_ROWS, REFERENCE)
        anew = judged_inputs(recorded_rows(INPUT_ROWS), record["about"])
        assert json.loads(json.dumps(anew)) == record
