"""What is no index, or a damaged one, is refused by its file, with a way out that works."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import superpose
from superpose.errors import BadInput


def test_what_is_no_index_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such index"):
        superpose.near("a", tmp_path / "nothing")
    (tmp_path / "else").write_text("something else")
    for ask in (superpose.dupes, superpose.lineage, lambda i: superpose.index(tmp_path, i)):
        with pytest.raises(BadInput, match="is no index of adapters") as refused:
            ask(tmp_path)
        assert "-o NEW.index" in (refused.value.hint or ""), "not into what is there already"
    with pytest.raises(BadInput, match="no such folder or file"):
        superpose.index(tmp_path / "missing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _without_norm(table: Path) -> None:
    held = pq.ParquetFile(table).read()
    pq.write_table(held.drop_columns(["norm"]), table)


def _of_four_bits(table: Path) -> None:
    """Let Arrow's own schema, which Parquet keeps in base64, say that an integer has four bits."""
    data = table.read_bytes()
    written = max(re.findall(rb"[A-Za-z0-9+/]{100,}={0,2}", data), key=len)
    schema = base64.b64decode(written)
    for width in re.finditer(rb"[\x08\x10\x20\x40]\x00\x00\x00", schema):
        other = schema[: width.start()] + b"\x04" + schema[width.start() + 1 :]
        table.write_bytes(data.replace(written, base64.b64encode(other)))
        try:
            pq.ParquetFile(table)
        except pa.ArrowNotImplementedError:
            return
        except (OSError, ValueError):
            continue
    pytest.fail("no integer was found")


DAMAGE = {
    "an empty manifest": ("manifest.json", lambda path: path.write_text("")),
    "a manifest without a seed": (
        "manifest.json",
        lambda path: path.write_text(path.read_text().replace('"seed"', '"sead"')),
    ),
    "half a table": (
        "adapters.parquet",
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    ),
    "a table without a column": ("adapters.parquet", _without_norm),
    "a table of integers that Arrow does not have": ("adapters.parquet", _of_four_bits),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", -1), ("seed", True), ("sketch", 0), ("sketch", -5), ("sketch", 10**12),
     ("sources", [1]), ("sources", "own-1"), ("sources", [None])],
)  # fmt: skip
def test_a_manifest_of_other_values_is_refused_by_its_key(
    shelf: Path, tmp_path: Path, key: str, value: object
) -> None:
    out = tmp_path / "library.index"
    superpose.index(shelf / "own-1", out)
    told = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "manifest.json").write_text(json.dumps({**told, key: value}), encoding="utf-8")
    for ask in (superpose.dupes, lambda i: superpose.index((), i)):
        with pytest.raises(BadInput, match=f"manifest.json: has no {key}"):
            ask(out)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_refused_by_its_file_and_made_again_as_the_error_says(
    shelf: Path, tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "library.index"
    superpose.index([shelf / "own-1", shelf / "own-2"], out)
    name, spoil = DAMAGE[damage]
    spoil(out / name)
    asked = (superpose.dupes, superpose.lineage, lambda i: superpose.near("own-1", i))
    for ask in (*asked, lambda i: superpose.index(shelf, i)):
        with pytest.raises(BadInput) as refused:
            ask(out)
        assert refused.value.where == str(out / name)
        assert "remove the index" in (refused.value.hint or "")
    shutil.rmtree(out)
    assert superpose.index(shelf / "own-1", out).bases == {"org/tiny-llama": 1}
