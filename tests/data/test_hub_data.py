"""Question data by its hub name: a file in a data set, a data set, a revision of one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from superpose.data.domain import Row, is_file_name, read_rows
from superpose.errors import BadInput, Missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loopback_hub import Hub

TEXT = b'{"question": "a", "answer": "1"}\n{"question": "b", "answer": "2"}\n'
ROWS = [Row("a", "1"), Row("b", "2")]


@pytest.mark.parametrize(
    "source",
    [
        "org/rows/math/train.jsonl@v1",
        "hf://datasets/org/rows@v1/math/train.jsonl",
        "https://huggingface.co/datasets/org/rows/blob/v1/math/train.jsonl",
    ],
)
def test_one_file_of_a_data_set_is_read_and_no_other_fetched(source: str, hub: Hub) -> None:
    others = {"math/test.jsonl": b"x", "rows.py": b"y", "README.md": b"z"}
    hub.put("datasets/org/rows", others)
    hub.put("datasets/org/rows", {"math/train.jsonl": TEXT, **others}, branch="v1")
    assert read_rows(source) == ROWS
    assert hub.fetched == ["datasets/org/rows/math/train.jsonl"]
    assert ("GET", "/api/datasets/org/rows/revision/v1") in hub.asked


def test_a_bad_line_of_a_file_on_the_hub_is_named(hub: Hub) -> None:
    hub.put("datasets/org/rows", {"a.jsonl": TEXT + b"[]\n"})
    with pytest.raises(BadInput, match=r"a\.jsonl, line 3: not a JSON object"):
        read_rows("org/rows/a.jsonl")


def test_a_file_or_data_set_that_is_not_there_is_bad_input(hub: Hub) -> None:
    hub.put("datasets/org/rows", {"a.jsonl": TEXT})
    with pytest.raises(BadInput, match=r"org/rows has no file b\.jsonl") as caught:
        read_rows("org/rows/b.jsonl")
    assert caught.value.hint == "It holds a.jsonl."
    with pytest.raises(BadInput, match="no file here, and the hub has no data set org/none"):
        read_rows("org/none/b.jsonl")
    with pytest.raises(BadInput, match="names a model or an adapter"):
        read_rows("https://huggingface.co/org/math")
    with pytest.raises(BadInput, match="no name of a hub data set"):
        read_rows("org/rows::")
    hub.broken = 503
    with pytest.raises(Missing, match="too busy or down"):
        read_rows("org/others/b.jsonl")


def test_a_mistyped_path_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_file_name("data/math/train.jsonl")
    assert is_file_name("data/train.jsonl")
    (tmp_path / "data").mkdir()
    assert is_file_name("data/math/train.jsonl")
    (tmp_path / "data").rmdir()
    assert not is_file_name("data/math/train.jsonl", tmp_path)
    assert not is_file_name("hf://datasets/org/rows/train.jsonl")


READ = """
import sys
from superpose.data.domain import read_rows
for source in sys.argv[1:]:
    print([(row.question, row.answer) for row in read_rows(source)])
"""


def test_a_data_set_is_read_by_the_datasets_library_of_its_revision_and_configuration(
    hub: Hub,
) -> None:
    """In a process of its own: the library keeps the hub's address from its start."""
    table = [{"question": "c", "answer": "3"}]
    card = (
        b"---\nconfigs:\n- config_name: one\n  data_files: data/one.jsonl\n"
        b"- config_name: two\n  data_files: data/two.json\n---\n"
    )
    files = {"README.md": card, "data/one.jsonl": TEXT, "data/two.json": json.dumps(table).encode()}
    hub.put("datasets/org/rows", {"README.md": b"new"})
    hub.put("datasets/org/rows", files, branch="v1")
    sources = ["org/rows@v1:one", "hf://datasets/org/rows@v1:two", "org/rows/data/two.json@v1"]
    ran = subprocess.run(
        [sys.executable, "-c", READ, *sources], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines() == [
        "[('a', '1'), ('b', '2')]",
        "[('c', '3')]",
        "[('c', '3')]",
    ]
