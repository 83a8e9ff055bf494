"""What a study found, again from its folder: no base, no rows, the same figures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, run as run
from tests.conftest import write_questions
from tests.studies.tiny import tiny_spec

import superpose
from superpose.errors import BadInput, BadSetting
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.summary import Summary


@pytest.fixture(scope="module")
def without_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study whose base model and question files are gone; nothing is written into it."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_base, folder / "base")
    files = write_questions(folder)
    spec = tiny_spec(folder / "base", files, seeds=[0, 1], methods=["regmean"])
    study = Study(spec, folder / "run")
    study.run()
    write_results(study.folder, spec, study.cells)
    shutil.rmtree(folder / "base")
    for path in files.values():
        path.unlink()
    return study


@pytest.fixture
def orphaned(without_base: Study, tmp_path: Path) -> Study:
    """A copy of it."""
    shutil.copytree(without_base.folder.path, tmp_path / "run")
    return Study(without_base.spec, tmp_path / "run")


def test_tables_and_page_come_again_of_the_folder_alone(orphaned: Study, run: Run) -> None:
    folder = orphaned.folder.path
    names = ("summary.json", "table.csv", "rows.npz")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    ended = run("study", folder, "--html", folder / "page.html", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"schema": 1, **json.loads(before["summary.json"])}
    assert {n: (folder / n).read_bytes() for n in names if n != "rows.npz"} == {
        n: data for n, data in before.items() if n != "rows.npz"
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert orphaned.folder.test_fingerprint("sums")[:12] in page
    ended = run("study", folder, "--paper", folder / "for a paper", "-q")
    assert ended.code == 0, ended.err
    written = {path.name for path in (folder / "for a paper").iterdir()}
    assert f"for a paper, {len(written)} files" in ended.err
    assert {"methods.tex", "weights.csv", "cosine.pdf", "references.bib"} <= written
    found = superpose.study(folder)
    assert found.cells == found.done == len(found.study.cells)
    assert any(cell.method == "tuned" for cell in found.study.cells)


def test_an_older_folder_has_its_settings_in_its_summary(orphaned: Study) -> None:
    (orphaned.folder.path / "settings.json").unlink()
    assert superpose.study(orphaned.folder.path).summary is not None


def test_a_folder_is_no_more_than_looked_at(orphaned: Study, tmp_path: Path, run: Run) -> None:
    folder = orphaned.folder.path
    with pytest.raises(BadInput, match="nothing for a paper"):
        replace(superpose.study(folder), summary=None).paper(tmp_path / "paper")
    with pytest.raises(BadSetting, match="has no other"):
        superpose.study(folder, tmp_path / "other")
    assert "--dry-run: " in run("study", folder, "--dry-run").err
    assert run("study", folder, "--status").code == 0
    for words in (("--dry-run", "--html", "x.html"), ("--status", "--paper", "x")):
        ended = run("study", folder, *words)
        assert ended.err.startswith(f"error: {words[0]}, {words[1]}: there are no results to write")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no study"):
        superpose.study(tmp_path / "empty")


def test_a_folder_whose_check_has_earlier_names_has_its_page(
    orphaned: Study, tmp_path: Path
) -> None:
    """`floor` was a pair's RMS cosine's and a module's cosine's, `modules` a number too."""
    path = tmp_path / "copied"
    shutil.copytree(orphaned.folder.path, path)
    page = superpose.study(path).page()
    for file in path.glob("cells/seed-*/check.json"):
        held = json.loads(file.read_text())
        earlier = {
            "rms_cosine_floor": "floor",
            "module_count": "modules",
            "stored_count": "stored",
        }
        for kind in ("adapters", "pairs"):
            held[kind] = [{earlier.get(k, k): v for k, v in one.items()} for one in held[kind]]
        for pair in held["pairs"]:
            pair["modules"] = [
                {"floor" if k == "cosine_floor" else k: v for k, v in module.items()}
                for module in pair["modules"]
            ]
        file.write_text(json.dumps(held))
    again = superpose.study(path).page()
    pairs, same = (
        next(section for section in one.sections if section.key == "pairs") for one in (page, again)
    )
    assert pairs.data == same.data


FORMER = {
    "predictions": {"nll": "predicted_nll", "nll_low": "low", "nll_high": "high"},
    "best": {"nll": "predicted_nll", "nll_low": "low", "nll_high": "high"},
    "disturbances": {"nll_low": "low", "nll_high": "high"},
}
"""Of a forecast's lists: name -> what it was called."""


def former(records: list[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in one.items()} for one in records]


def test_a_folder_of_former_names_has_the_same_summary_and_page(
    orphaned: Study, tmp_path: Path
) -> None:
    """`rows` were lists of figures, and numbers of rows as well; ends were `low` of whatever."""
    path = tmp_path / "copied"
    shutil.copytree(orphaned.folder.path, path)
    found = superpose.study(path)
    for file in path.glob("cells/seed-*/forecast.json"):
        held = json.loads(file.read_text())
        held |= {key: former(held[key], names) for key, names in FORMER.items()}
        held["rows"] = held.pop("predictions")
        file.write_text(json.dumps(held))
    again = superpose.study(path)
    assert again.to_json() == found.to_json()
    theirs, ours = (
        {section.key: section.data for section in one.page().sections} for one in (again, found)
    )
    assert theirs == ours


def test_a_summary_of_former_names_is_read_by_those_of_today(orphaned: Study) -> None:
    today = json.loads((orphaned.folder.path / "summary.json").read_text())
    before = json.loads(json.dumps(today))
    for subset in before["subsets"]:
        subset["rows"] = subset.pop("measured")
    names = {
        f"predicted_{of}_{end}": end if of == "nll" else f"{of}_{end}"
        for of in ("nll", "interference")
        for end in ("low", "high")
    }
    before["forecast"]["rows"] = former(before["forecast"].pop("predictions"), names)
    assert before != today
    assert Summary.from_json(before).to_json() == today
