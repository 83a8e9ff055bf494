"""A study's forecast, tuned sums and baselines: what is measured, and what stands beside what."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.script_modules import script_module

from superpose.errors import BadInput
from superpose.measure.evaluate import score
from superpose.measure.lambda_space import forecast
from superpose.model import SuperposedModel
from superpose.studies.against_sum import against_sum_table
from superpose.studies.baseline import baseline_settings
from superpose.studies.cells import TITLES, UNION, StudyCell
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.spec import StudySpec
from superpose.studies.summary import Inside, Summary
from superpose.studies.tables import study_parts
from superpose.training.settings import LoraSettings, TrainingSettings

PAIR = ("sums", "coins")
METHODS = ("sum", "average", "tuned", "merged", "merged_steps", "merged_rank")
ROOT = Path(__file__).resolve().parents[2]

Run = tuple[Study, Summary]


def _spec(base: Path, folder: Path, **changes: Any) -> StudySpec:
    settings: dict[str, Any] = {
        "name": "tiny",
        "base": str(base),
        "domains": {name: {"data": str(folder / f"{name}.jsonl")} for name in PAIR},
        "train_rows": 16,
        "test_rows": 8,
        "calibration_rows": 6,
        "seeds": [0],
        "prompt": {"max_tokens": 64},
        "lora": {"rank": 2, "alpha": 8, "dropout": 0, "targets": ["q_proj", "down_proj"]},
        "training": {"epochs": 1, "learning_rate": 0.02, "batch_size": 8},
    }
    return StudySpec.model_validate(settings | changes)


def _write_questions(folder: Path) -> None:
    rows = {
        "sums": [(f"What is {a} plus {b}?", f"{a + b}.") for a in range(8) for b in range(4)],
        "coins": [(f"How many cents are {n} dimes?", f"{n} dimes: {10 * n}.") for n in range(32)],
    }
    for name, found in rows.items():
        lines = [json.dumps({"question": q, "answer": a}) for q, a in found]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A study with every baseline, and its summary."""
    folder = tmp_path_factory.mktemp("study")
    _write_questions(folder)
    spec = _spec(tiny_base, folder, merged=["epochs", "steps", "rank"])
    study = Study(spec, folder / "run")
    study.run()
    return study, write_results(study.folder, spec, study.cells)


def test_calibration_rows_are_neither_trained_nor_tested_on_and_move_no_other_row(
    tiny_base: Path, tmp_path: Path
) -> None:
    _write_questions(tmp_path)
    both = {"train": str(tmp_path / "sums.jsonl"), "test": str(tmp_path / "coins.jsonl")}
    domains = {"split": {"data": str(tmp_path / "sums.jsonl")}, "files": both}
    domains |= {name: {"data": f"demo:{name}"} for name in ("math", "medicine", "finance")}
    few, none = (
        Study(_spec(tiny_base, tmp_path, domains=domains, calibration_rows=n), tmp_path / "x")
        for n in (6, 0)
    )
    for name, domain in few.domains.items():
        assert len(set(domain.calibration)) == 6
        assert not {*domain.calibration} & {*domain.train, *domain.test}
        assert none.domains[name].calibration == ()
        assert (domain.train, domain.test) == (none.domains[name].train, none.domains[name].test)


def test_the_forecast_is_that_of_all_adapters_on_the_calibration_rows(run: Run) -> None:
    study, summary = run
    found = study.folder.read("cells/seed-0/forecast.json")
    with SuperposedModel(study.base.model, study.adapters(0)) as model:
        wanted = forecast(model, PAIR, study.calibration_examples)
        with model.at([1.0, 1.0]) as weighted:
            seen = score(weighted, study.calibration_examples["coins"]).nll
    rows = [row.to_json() for row in wanted.every_subset()]
    assert len(found["predictions"]) == len(rows) == 4 * 2
    for one, other in zip(found["predictions"], rows, strict=True):
        assert one["weights"] == other["weights"]
        assert one["nll"] == pytest.approx(other["nll"], abs=1e-5)
    # The sum was measured on these rows, so the prediction for them can be little off.
    assert summary.forecast is not None
    row = next(r for r in summary.forecast.predictions if r.domain == "coins")
    assert row.predicted_nll == pytest.approx(seen, abs=0.05)
    tokens = sum(e.length for rows in study.calibration_examples.values() for e in rows)
    assert found["calibration"]["tokens"] == tokens
    assert found["calibration"]["forward_equivalents"] == 6
    assert found["calibration"]["rows_of"] == {"sums": 6, "coins": 6}


def test_predicted_stands_beside_what_the_cells_measured(run: Run) -> None:
    study, summary = run
    found = summary.forecast
    assert found is not None
    for row in found.predictions:
        cell, own = StudyCell("sum", PAIR, 0), StudyCell("single", (row.domain,), 0)
        nll = study.folder.read_scores(cell)[row.domain].nll
        assert row.measured_nll == pytest.approx(nll, abs=1e-5)
        less = study.folder.read_scores(own)[row.domain].nll
        assert row.measured_interference == pytest.approx(nll - less, abs=1e-5)
    errors = [abs(r.predicted_interference - r.measured_interference) for r in found.predictions]
    assert found.interference.n == 2
    assert found.interference.mean_absolute_error == pytest.approx(np.mean(errors), abs=1e-5)
    held = sum(
        r.predicted_nll_low <= r.measured_nll <= r.predicted_nll_high for r in found.predictions
    )
    assert found.inside.nll == Inside(held, 2)


def test_tuned_and_average_are_scored_at_their_weights(run: Run) -> None:
    study, _ = run
    tuned = study.folder.read("cells/seed-0/forecast.json")["tuned"]["sums+coins"]
    for method, weights in (("average", dict.fromkeys(PAIR, 0.5)), ("tuned", tuned)):
        cell = StudyCell(method, PAIR, 0)
        assert study.folder.read_weights(cell) == weights
        with (
            SuperposedModel(study.base.model, study.adapters(0)) as model,
            model.at([weights[name] for name in PAIR]) as weighted,
        ):
            for domain, rows in study.test_examples.items():
                wanted = score(weighted, rows).row_nll
                assert study.folder.read_scores(cell)[domain].row_nll == pytest.approx(wanted)


def test_the_table_holds_every_method_with_its_weights(run: Run) -> None:
    study, summary = run
    with (study.folder.path / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = {(r["method"], r["domain"]): r for r in table if r["subset"] == "sums+coins"}
    assert {method for method, _ in rows} == {
        *("sum", "average", "tuned", "merged", "merged_steps", "merged_rank")
    }
    assert json.loads(rows["average", "union"]["weights"]) == {"sums": 0.5, "coins": 0.5}
    assert json.loads(rows["merged_rank", "union"]["weights"]) == {}
    for row in summary.methods:
        other = rows[row.method, row.domain]
        assert row.perplexity.mean == pytest.approx(float(other["perplexity"]), rel=1e-4)
        if row.method == "tuned":
            change = row.dppl_merged.mean
            assert change == pytest.approx(float(other["dppl_percent"]), abs=1e-3)


def test_what_is_kept_is_of_the_gain_that_the_cells_measured(run: Run) -> None:
    study, summary = run
    rows = {(r.method, r.domain): r.kept for r in summary.methods}
    for (method, domain), kept in rows.items():
        if domain == "union":
            continue
        cells = [
            StudyCell(method, PAIR, 0),
            StudyCell("base", (), None),
            StudyCell("single", (domain,), 0),
        ]
        nll, base, own = (study.folder.read_scores(cell)[domain].nll for cell in cells)
        assert base > own  # or there would be no gain to share
        assert kept is not None
        assert kept.share == pytest.approx((base - nll) / (base - own), abs=1e-5)
        assert kept.interval[0] <= kept.share <= kept.interval[1]


def test_methods_stand_against_the_naive_sum_and_a_tie_is_what_two_errors_do_not_tell(
    run: Run,
) -> None:
    study, summary = run
    naive = study.folder.read_scores(StudyCell("sum", PAIR, 0))
    assert {row.method for row in summary.against_sum} == {*METHODS} - {"sum"}
    for row in summary.against_sum:
        assert row.error is not None
        assert row.tie == (abs(row.difference) <= 2 * row.error)
        if row.domain != UNION:
            found = study.folder.read_scores(StudyCell(row.method, PAIR, 0))[row.domain]
            apart = found.nll - naive[row.domain].nll
            assert row.difference == pytest.approx(apart, abs=1e-5)
    table = against_sum_table(summary)
    assert [c.title for c in table.columns[1:]] == [TITLES[m] for m in METHODS[1:]]
    assert table in study_parts(summary)
    assert table not in study_parts(older := replace(summary, against_sum=()))
    assert Summary.from_json(older.to_json()) == older


def test_each_baseline_keeps_equal_what_it_says(run: Run) -> None:
    study, _ = run
    records = {
        method: study.folder.read(f"{StudyCell(method, names, 0).adapter}/training.json")
        for method, names in (
            ("single", ("sums",)), ("merged", PAIR), ("merged_steps", PAIR), ("merged_rank", PAIR),
        )
    }  # fmt: skip
    assert records["merged_steps"]["steps"] == records["single"]["steps"] == 2
    assert records["merged"]["steps"] == records["merged_rank"]["steps"] == 4
    assert records["merged_rank"]["lora"]["rank"] == 4
    assert records["merged_rank"]["lora"]["alpha"] == 16


def test_the_rank_of_the_sum_keeps_the_scaling_with_rslora_too() -> None:
    lora = LoraSettings(rank=4, alpha=8, rslora=True)
    wider, _ = baseline_settings(StudyCell("merged_rank", PAIR, 0), lora, TrainingSettings(), 0)
    assert wider.rank == 8
    assert wider.alpha / math.sqrt(wider.rank) == pytest.approx(8 / math.sqrt(4))


def test_a_folder_that_was_begun_without_a_forecast_is_gone_on_with(
    tiny_base: Path, tmp_path: Path
) -> None:
    _write_questions(tmp_path)
    Study(_spec(tiny_base, tmp_path, calibration_rows=0), tmp_path / "run").run()
    files = [p for p in (tmp_path / "run").glob("[!.]*/**/*.*") if p.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert not any(path.name == "forecast.json" or "tuned" in path.name for path in files)
    study = Study(_spec(tiny_base, tmp_path), tmp_path / "run")
    study.run()
    assert {path: path.read_bytes() for path in files} == before
    assert write_results(study.folder, study.spec, study.cells).forecast is not None
    other = Study(_spec(tiny_base, tmp_path, calibration_rows=5), tmp_path / "run")
    with pytest.raises(BadInput, match=r"it differs in calibration\.coins, calibration\.sums"):
        other.run()
    Study(_spec(tiny_base, tmp_path, calibration_rows=0), tmp_path / "run").run()
    assert "calibration" in study.folder.read("study.json")


def test_too_few_rows_for_a_forecast_are_told(tiny_base: Path, tmp_path: Path) -> None:
    _write_questions(tmp_path)
    for rows, told, has in ((16, "8 calibration rows, not", True), (23, "no forecast", False)):
        spec = _spec(tiny_base, tmp_path, train_rows=rows, calibration_rows=9)
        study = Study(spec, tmp_path / str(rows))
        study.run()
        summary = write_results(study.folder, spec, study.cells)
        assert any(told in remark for remark in summary.remarks)
        assert (summary.forecast is not None) == has


def test_terminal_and_page_show_both_sides(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.cli.show import show
    from superpose.studies.tables import forecast_parts

    study, summary = run
    heard = io.StringIO()
    show(forecast_parts(summary), Console(file=heard, width=160))
    shown = heard.getvalue()
    assert summary.forecast is not None
    row = summary.forecast.predictions[0]
    assert f"{row.measured_interference:+.3f}" in shown
    assert f"{summary.forecast.advice[0].verdict}." in shown
    assert all(word in shown for word in ("naive", "tuned", "equal steps", "rank K·r"))

    results = script_module("results")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / "tiny").mkdir()
    without = replace(summary, methods=(), forecast=None)
    for held, there in ((summary, True), (without, False)):
        (tmp_path / "tiny" / "summary.json").write_text(json.dumps(held.to_json()))
        page = results.page()
        assert ("### Predicted beside measured" in page) == there
        assert ("equal steps" in page) == there
        assert (f"{row.predicted_nll:.3f}" in page) == there
    assert (study.folder.path / "summary.json").exists()


@pytest.mark.parametrize(
    ("predicted", "measured", "holds"),
    [(0.2, 0.3, True), (0.02, -0.02, True), (-0.2, 0.2, False), (0.9, 0.1, False), (0.3, 0, False)],
)
def test_the_demo_holds_where_a_pair_was_foreseen(
    predicted: float, measured: float, holds: bool
) -> None:
    row = {"subset": list(PAIR), "domain": "sums", "predicted_interference": predicted}
    summary = {"forecast": {"predictions": [row | {"measured_interference": measured}]}}
    script = script_module("demo_holds")
    assert (not list(script._of_forecast(summary))) == holds
    assert list(script._of_forecast({"forecast": None})) == ["there is no forecast"]
