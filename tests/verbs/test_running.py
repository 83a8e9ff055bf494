"""What trains and runs a study from the shell does so from Python: the same answer, the same files.

Names or loaded objects, one answer; settings that cannot be used are named as each side names them.
"""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.verbs.test_measuring import rows_of, shell, without_times

import superpose
from superpose.cli.app import main
from superpose.errors import BadInput, BadSetting, OutputExists
from superpose.model import load_base

SETTINGS: dict[str, Any] = {
    "lora": superpose.LoraSettings(rank=2, dropout=0.0, targets=("q_proj", "v_proj")),
    "training": superpose.TrainingSettings(learning_rate=0.02, trainer={"max_grad_norm": 0.5}),
    "questions": superpose.TrainingQuestions(rows=16, seed=3),
}
OPTIONS = (
    *("--rank", 2, "--dropout", 0, "--targets", "q_proj, v_proj", "--lr", 0.02),
    *("--trainer", "max_grad_norm=0.5", "--rows", 16, "--seed", 3),
)


@pytest.mark.parametrize("loaded", [False, True], ids=["names", "objects"])
def test_train_in_python_writes_what_the_command_writes(
    loaded: bool, tiny_base: Path, question_files: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    files = list(question_files.values())
    printed = shell(capsys, "train", tiny_base, *files, "-o", tmp_path / "shell", *OPTIONS)
    base: Any = load_base(tiny_base) if loaded else tiny_base
    data: Any = [row for path in files for row in rows_of(path)] if loaded else files
    told: list[tuple[float, float | None, str]] = []
    found = superpose.train(
        base, data, tmp_path / "python", **SETTINGS, progress=lambda *step: told.append(step)
    )
    told_as_json = json.loads(json.dumps({**found.to_json(), "output": printed["output"]}))
    assert without_times(told_as_json) == without_times(printed)
    written = [
        (tmp_path / n / "adapter_model.safetensors").read_bytes() for n in ("shell", "python")
    ]
    assert written[0] == written[1]
    assert [done for done, _, _ in told] == [1.0, 2.0]
    assert {total for _, total, _ in told} == {2.0}
    assert all(f"train {tmp_path / 'python'} (loss " in what for _, _, what in told)
    assert "16 rows, 2 steps" in found._repr_html_()


def test_a_source_that_stands_thrice_is_trained_on_thrice(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    path = question_files["sums"]
    few = {**SETTINGS, "questions": superpose.TrainingQuestions()}
    once = superpose.train(tiny_base, path, tmp_path / "once", **few)
    thrice = superpose.train(tiny_base, [path] * 3, tmp_path / "thrice", **few)
    named = superpose.train(tiny_base, {"a": path, "b": rows_of(path)}, tmp_path / "named", **few)
    assert once.rows == len(rows_of(path))
    assert (thrice.rows, named.rows) == (3 * once.rows, 2 * once.rows)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"lora": superpose.LoraSettings(rank=0)}, "rank"),
        ({"lora": superpose.LoraSettings(dropout=1.0)}, "dropout"),
        ({"lora": superpose.LoraSettings(alpha=float("nan"))}, "alpha"),
        ({"training": superpose.TrainingSettings(batch_size=0)}, "batch_size"),
        ({"training": superpose.TrainingSettings(learning_rate=0.0)}, "learning_rate"),
        ({"training": superpose.TrainingSettings(weight_decay=-1.0)}, "weight_decay"),
    ],
)  # fmt: skip
def test_a_setting_of_a_training_is_refused_by_its_name_before_anything_is_loaded(
    settings: dict[str, Any], where: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match="Input should be") as caught:
        superpose.train("no/such-base", "none.jsonl", tmp_path / "out", **settings)
    assert caught.value.where == where


def test_the_shell_calls_a_setting_by_its_option(
    tiny_base: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for options, message in (
        (("--batch-size", "0"), "error: --batch-size: Input should be greater than or equal to 1"),
        (("--trainer", "=1"), "error: --trainer: `=1` is not KEY=VALUE"),
    ):
        with pytest.raises(SystemExit):
            main(["train", str(tiny_base), "none.jsonl", "-o", str(tmp_path / "out"), *options])
        assert message in capsys.readouterr().err


def test_what_stands_at_out_is_kept_unless_it_may_be_replaced(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    path = question_files["sums"]
    superpose.train(tiny_base, path, tmp_path / "a", **SETTINGS)
    with pytest.raises(OutputExists, match="already exists"):
        superpose.train(tiny_base, path, tmp_path / "a", **SETTINGS)
    superpose.train(tiny_base, path, tmp_path / "a", **SETTINGS, force=True)
    record = json.loads((tmp_path / "a" / "training.json").read_text())
    assert record["lora"] == {**asdict(SETTINGS["lora"]), "targets": ["q_proj", "v_proj"]}


def study_file(base: Path, files: dict[str, Path]) -> dict[str, Any]:
    """What stands in the file of a small study."""
    return {
        "name": "tiny",
        "base": str(base),
        "domains": {name: {"data": str(path)} for name, path in files.items()},
        "train_rows": 8,
        "test_rows": 4,
        "calibration_rows": 8,
        "seeds": [0],
        "prompt": {"max_tokens": 64},
        "lora": {"rank": 2, "dropout": 0, "targets": ["q_proj"]},
        "training": {"learning_rate": 0.02, "batch_size": 4},
    }


@pytest.fixture
def demo_file(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A study file; the demo runs it in place of its own, which takes minutes."""
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(study_file(tiny_base, question_files)), encoding="utf-8")
    monkeypatch.setattr("superpose.verbs.demo.FILE", path)
    return path


def test_a_study_in_python_is_the_study_of_the_command(
    demo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    told: list[tuple[float, float | None, str]] = []
    looked_at = superpose.study(demo_file, tmp_path / "run", dry_run=True)
    stands = looked_at.to_json()
    assert (stands["folder"], stands["cells"], stands["done"]) == (str(tmp_path / "run"), 7, 0)
    assert stands["left"] == stands["whole"]
    assert "0 of 7 cells are done" in looked_at._repr_html_()
    assert not (tmp_path / "run").exists()
    with caplog.at_level(logging.INFO, logger="superpose"):
        content = json.loads(demo_file.read_text())
        found = superpose.study(content, tmp_path / "run", progress=lambda *step: told.append(step))
    printed = shell(capsys, "study", demo_file, "-o", tmp_path / "run", "--quiet")
    assert without_times(json.loads(json.dumps(found.to_json()))) == without_times(printed)
    assert (found.cells, found.done) == (7, 7)
    assert told[0][0] == 0
    assert told[-1][0] == pytest.approx(told[-1][1] or 0.0, rel=0.02)
    assert "train single-sums (seed 0)" in {what for _, _, what in told}
    assert any(r.getMessage().startswith("trained single-sums (seed 0): ") for r in caplog.records)
    assert "sums + coins" in found._repr_html_()
    page = found.page("typed")
    assert len(page.sections) > 3
    with pytest.raises(BadInput, match="nothing for a page"):
        looked_at.page()


def test_what_stands_in_a_study_file_is_refused_in_memory_by_its_key_too(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    content = study_file(tiny_base, question_files)
    for section, message in (
        ({"lora": {"rnk": 2}}, r"the study: unknown key `lora\.rnk`\nDid you mean `rank`"),
        ({"lora": {"targets": ["q_proj", "vproj"]}}, r"lora\.targets: .* no module `vproj`\nDid"),
        ({"training": {"trainer": {"max_stps": 2}}}, r"training\.trainer: .*\nDid you mean `max_"),
        ({"seeds": 0}, r"the study, seeds: 0 is no list"),
        ({"name": "a?"}, r"the study, name: 'a\?' is no name of a study"),
        ({"training": {"epochs": 0}}, r"the study, training\.epochs: Input should be greater"),
    ):
        with pytest.raises(BadInput, match=message):
            superpose.study(content | section, tmp_path / "run")
    misspelled = {"domain" if key == "domains" else key: held for key, held in content.items()}
    with pytest.raises(BadInput, match=r"unknown key `domain`\nDid you mean `domains`"):
        superpose.study(misspelled, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_demo_in_python_is_the_demo_of_the_command(
    demo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    found = superpose.demo(out)
    printed = shell(capsys, "demo", "-o", out, "--quiet")
    assert without_times(json.loads(json.dumps(found.to_json()))) == without_times(printed)
    assert "Sample answers: What" in found._repr_html_()
    assert demo_file.exists()
    parts = [superpose.load(path) for path in found.adapters]
    assert (superpose.load(found.superposition) - sum(parts)).norm() < 1e-6 * sum(parts).norm()
    assert (out / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(SystemExit):
        main(["demo", "-o", str(out), "--quiet"])
    said = capsys.readouterr().out
    assert f"The sum of all three, for PEFT, vLLM and llama.cpp: {found.superposition}" in said
    assert all(command in said for command in found.commands)
    assert found.question in shlex.split(found.commands[1])
