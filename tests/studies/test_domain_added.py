"""A domain that joins a finished study: what is done stays, the rest is as if it had begun so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import write_questions
from tests.studies.tiny import Heard, tiny_spec

from superpose.errors import BadInput
from superpose.studies.cells import StudyCell
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.verbs.study import studied


def test_a_domain_joins_and_what_is_finished_stays(tiny_base: Path, tmp_path: Path) -> None:
    files = write_questions(tmp_path)
    rows = [json.dumps({"question": f"How is {n}?", "answer": f"so {n}"}) for n in range(40)]
    (tmp_path / "moods.jsonl").write_text("\n".join(rows), encoding="utf-8")
    more = {**files, "moods": tmp_path / "moods.jsonl"}
    settings = {"train_rows": 8, "test_rows": 4, "seeds": [0], "calibration_rows": 8,
                "methods": ["regmean"]}  # fmt: skip
    two, three = (tiny_spec(tiny_base, found, **settings) for found in (files, more))
    first = Study(two, tmp_path / "run")
    first.run()
    write_results(first.folder, two, first.cells)
    kept = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and ".executor" not in path.parts and path.parent.name != "run"
        and path.name not in ("check.json", "forecast.json", ".lock")
    }  # fmt: skip
    cells = [path for path in kept if "cells" in path.parts]
    assert len(cells) == len(first.cells)

    heard = Heard()
    grown = Study(three, tmp_path / "run", reporter=heard)
    grown.run()
    assert heard.work == pytest.approx(heard.left, rel=0.02)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in kept} == kept
    trained = [said for said in heard.finished if said.startswith("trained")]
    assert [said.split()[1] for said in trained] == [
        "single-moods", "merged-sums+moods", "merged-coins+moods", "merged-sums+coins+moods",
    ]  # fmt: skip
    found = write_results(grown.folder, three, grown.cells)
    assert grown.is_done(StudyCell("sum", ("sums", "coins"), 0))

    fresh = Study(three, tmp_path / "fresh")
    fresh.run()
    right = write_results(fresh.folder, three, fresh.cells)
    assert [each.domains for each in found.subsets] == [each.domains for each in right.subsets]
    tuned = {"tuned"}  # of the pair that was finished, the weights are those that it had
    for ours, theirs in zip(found.methods, right.methods, strict=True):
        assert (ours.subset, ours.domain, ours.method) == (
            theirs.subset, theirs.domain, theirs.method,
        )  # fmt: skip
        if ours.method not in tuned or "moods" in ours.subset:
            assert ours.perplexity.mean == pytest.approx(theirs.perplexity.mean, rel=1e-4)
    for name, on in found.own_adapters.items():
        for domain, spread in on.items():
            wanted = right.own_adapters[name][domain].mean
            assert spread.mean == pytest.approx(wanted, rel=1e-4)
    assert found.forecast is not None
    weights = first.folder.read_weights(StudyCell("tuned", ("sums", "coins"), 0))
    assert found.forecast.tuned[0].weights["sums+coins"] == weights
    assert studied(grown, 0.0).page().sections[0].title == "Verdict"

    again = Heard()
    Study(three, tmp_path / "run", reporter=again).run()
    assert (again.finished, again.left) == ([], 0)
    with pytest.raises(BadInput, match="another study; it differs in"):
        Study(two, tmp_path / "run").run()


def test_domains_join_behind_those_that_are_there(tiny_base: Path, tmp_path: Path) -> None:
    files = write_questions(tmp_path)
    (tmp_path / "moods.jsonl").write_text(
        "\n".join(json.dumps({"question": f"{n}?", "answer": "so"}) for n in range(40))
    )
    study = Study(tiny_spec(tiny_base, files, train_rows=8, test_rows=4), tmp_path / "run")
    study.folder.claim(study.identity())
    before = {"moods": tmp_path / "moods.jsonl", **files}
    first = Study(tiny_spec(tiny_base, before, train_rows=8, test_rows=4), tmp_path / "run")
    with pytest.raises(BadInput, match=r"differs in .*data\.moods, order"):
        first.folder.claim(first.identity())
    other = {**files, "moods": tmp_path / "moods.jsonl"}
    changed = Study(tiny_spec(tiny_base, other, train_rows=9, test_rows=4), tmp_path / "run")
    with pytest.raises(BadInput, match=r"differs in .*train_rows"):
        changed.folder.claim(changed.identity())
