"""The how-to's query of a library's table, by whatever reads Parquet here."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.library.making import random_factors, write_factors

import superpose

HOW_TO = Path(__file__).parents[2] / "docs/how-to/library.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example's code, in a folder that has the library it reads."""
    for name in ("math", "finance"):
        write_factors(tmp_path / "adapters" / name, random_factors(len(name), rank=2))
    superpose.index(tmp_path / "adapters", tmp_path / "library.index")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(import duckdb.*?)```", HOW_TO.read_text("utf-8"), re.S)
    return str(code)


def test_every_column_that_the_example_names_is_in_the_table(example: str) -> None:
    table = pq.ParquetFile("library.index/adapters.parquet").read()
    record = table.schema.field("modules").type.value_type
    there = {*table.column_names, *(field.name for field in record)}
    shown = [re.sub(r" AS \w+", "", part) for part in re.findall(r"SELECT (.*?)\s+FROM", example)]
    named = set(re.findall(r"[a-z]+", " ".join(shown))) - {"m", "unnest"}
    assert named == {"name", "base", "rank", "norm", "modules", "module", "sizes"}
    assert named | {"problem"} <= there
    row = table.to_pylist()[0]
    assert row["modules"][0]["sizes"][0] == max(row["modules"][0]["sizes"]), "the largest is first"


def test_the_example_runs_in_duckdb(example: str) -> None:
    pytest.importorskip("duckdb")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(example, str(HOW_TO), "exec"), {})
    assert "math" in said.getvalue()
    assert "finance" in said.getvalue()
