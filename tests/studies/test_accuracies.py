"""A study whose test rows have choices: every cell keeps them, every figure follows from them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from superpose.measure.choice_score import ChoiceScore
from superpose.report.accuracy import accuracy_section
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.spec import StudySpec
from superpose.studies.summary import Summary
from superpose.studies.tables import study_parts


def _domain(path: Path, kind: str, *, choices: bool) -> dict[str, str]:
    rows = []
    for n in range(10):
        row = {"question": f"{kind} {n}?", "answer": f"{n}"}
        rows.append(row | ({"choices": [f"{n}0", f"{n}", "none"]} if choices else {}))
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return {"data": str(path)}


def test_accuracies_follow_from_the_choices_that_every_cell_keeps(
    tiny_base: Path, tmp_path: Path
) -> None:
    domains = {
        "offered": _domain(tmp_path / "a.jsonl", "Which", choices=True),
        "open": _domain(tmp_path / "b.jsonl", "What", choices=False),
    }
    spec = StudySpec.model_validate(
        {"name": "tiny", "base": str(tiny_base), "domains": domains, "train_rows": 4,
         "test_rows": 6, "seeds": [0], "prompt": {"max_tokens": 64}, "calibration_rows": 0,
         "lora": {"rank": 2, "targets": ["q_proj"]}, "training": {"epochs": 1, "batch_size": 4}}
    )  # fmt: skip
    study = Study(spec, tmp_path / "run")
    study.run()
    summary = write_results(study.folder, spec, study.cells)
    assert Summary.from_json(summary.to_json()) == summary
    with (study.folder.path / "table.csv").open(encoding="utf-8", newline="") as file:
        table = {(row["method"], row["subset"], row["domain"]): row for row in csv.DictReader(file)}
    for cell in study.cells:
        kept = json.loads((study.folder.path / cell.file).read_text())["scores"]
        found = kept["offered"]["choices"]
        hits = np.argmin(found["nll"], axis=1) == np.array(found["right"])
        row = table[cell.method, "+".join(cell.domains), "offered"]
        assert float(row["accuracy"]) == pytest.approx(hits.mean(), abs=1e-6)
        assert float(row["chance"]) == pytest.approx(1 / 3, abs=1e-6)
        assert ChoiceScore.from_json(found).to_json() == {
            name: tuple(map(tuple, of)) if name in ("tokens", "characters") else tuple(of)
            if name == "right" else of for name, of in found.items()
        }  # fmt: skip
        assert "choices" not in kept["open"]
        assert table[cell.method, "+".join(cell.domains), "open"]["accuracy"] == ""
    rows = {(row.domain, row.method): row for row in summary.accuracies}
    assert {domain for domain, _ in rows} == {"offered", "union"}
    assert {"base", "single", "sum", "merged"} <= {method for _, method in rows}
    assert rows["union", "sum"].accuracy == rows["offered", "sum"].accuracy
    shown = [part for part in study_parts(summary) if "Accuracy" in getattr(part, "title", "")]
    assert len(shown) == 1
    cells = [[cell.text for cell in row] for row in shown[0].rows]
    told = {(row[1], row[2]): row[5:] for row in cells}
    methods = list(dict.fromkeys(row.method for row in summary.accuracies))
    for likelihood, figure in (("answer", "accuracy"), ("per token", "per_token")):
        want = {f"{100 * getattr(rows['offered', m], figure).mean:.1f}" for m in methods}
        assert set(told["offered", likelihood]) - {"-"} == want
    assert accuracy_section(summary).title == "Right choices"
