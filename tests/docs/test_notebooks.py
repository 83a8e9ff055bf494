"""Each notebook runs from its first cell to its last, and shows what its committed form shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.shown.reading import Reading

import superpose

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]  # type: ignore[no-any-return]


def outputs(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path) for output in cell.get("outputs", ())]


def html_of(output: dict[str, Any]) -> str | None:
    return "".join(output["data"]["text/html"]) if "text/html" in output.get("data", {}) else None


def gist(output: dict[str, Any], *, whole: bool) -> object:
    """What kind of thing an output is, without its figures, which differ between machines.

    whole: with what depends on the base model, the verdicts and how many rows tables have.
    """
    html = html_of(output)
    if html is None:
        return output["output_type"], output.get("name"), sorted(output.get("data", {}))
    found = Reading(html)
    if not whole:
        heads = [re.sub(r"[\d.]+", "#", f"{t.caption} {t.rows[0]}") for t in found.tables]
        return output["output_type"], heads
    verdicts = re.findall("<strong>(.*?)</strong>", html)
    heads = [(table.caption, table.rows[0], len(table.rows)) for table in found.tables]
    return output["output_type"], [re.sub(r"[\d.]+", "#", verdict) for verdict in verdicts], [
        re.sub(r"[\d.]+", "#", str(head)) for head in heads
    ]  # fmt: skip


def test_there_is_a_notebook_and_its_objects_show_themselves() -> None:
    """Adapter, delta, check, forecast, prediction, advice and difference, each by its table."""
    (path,) = NOTEBOOKS
    captions = {t.caption for o in outputs(path) if (h := html_of(o)) for t in Reading(h).tables}
    for start in ("Target modules", "One target module's delta", "Pairs", "Cosine of each pair",
                  "Perplexity of the answers", "Who disturbs whom", "Foretold (",
                  "Held differently"):  # fmt: skip
        assert any(caption.startswith(start) for caption in captions), start


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_was_executed_in_order_and_holds_no_trace_of_a_machine(
    path: Path,
) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(/home|/root|/tmp|/work|/usr|site-packages|[A-Z]:\\\\)", text)
    assert set(json.loads(text)["metadata"]) == {"kernelspec", "language_info"}
    assert all(cell["metadata"] == {} for cell in cells(path))
    assert all(output.get("name") != "stderr" for output in outputs(path))
    assert len(text) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_tables_of_its_committed_form(
    path: Path, tmp_path: Path, smaller: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a smaller base model, in seconds."""
    monkeypatch.setenv("SUPERPOSE_CACHE", str(smaller))
    run_and_compare(path, tmp_path, whole=False)


@pytest.mark.hard
@pytest.mark.apart
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_its_committed_form_shows(
    path: Path, tmp_path: Path
) -> None:
    run_and_compare(path, tmp_path, whole=True)


def run_and_compare(path: Path, tmp_path: Path, *, whole: bool) -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "notebook.py"), "--to", str(tmp_path)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "IProgress" not in ended.stderr, (
        "the first base model is loaded with a warning of widgets"
    )
    made = tmp_path / path.name
    assert [cell["source"] for cell in cells(made)] == [cell["source"] for cell in cells(path)]
    for new, old in zip(cells(made), cells(path), strict=True):
        found, known = (
            [gist(o, whole=whole) for o in cell.get("outputs", ())] for cell in (new, old)
        )
        assert found == known, "run `make docs`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_nothing_from_inside(path: Path) -> None:
    """What it shows, anybody can do with what `superpose` offers."""
    lines = [line for cell in cells(path) for line in "".join(cell["source"]).split("\n")]
    imports = [line for line in lines if re.match(r"\s*(import|from) superpose", line)]
    assert imports == ["import superpose"]
    code = "\n".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == "code")
    assert set(re.findall(r"superpose\.([A-Za-z_]+)", code)) <= set(superpose.__all__)
