"""What a study takes is said before it runs, and from what each figure comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.verbs.test_running import study_file

import superpose
from superpose.errors import BadInput, Missing
from superpose.studies.effort import RECORDED

ROOT = Path(__file__).resolve().parents[2]


def test_tokens_are_those_that_the_trainings_see_and_hours_follow_from_the_pace(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    content = study_file(tiny_base, question_files) | {"merged": ["epochs", "steps", "rank"]}
    found = superpose.study(content, tmp_path / "run", dry_run=True).to_json()
    assert not (tmp_path / "run").exists()
    superpose.study(content, tmp_path / "run")
    trained = [json.loads(p.read_text()) for p in (tmp_path / "run").rglob("training.json")]
    # Equal steps see half of the pair's rows, and which of them chance decides.
    counted = sum(t["tokens"] for t in trained if "max_steps" not in t["training"]["trainer"])
    assert len(trained) == 5
    (steps,) = [t["tokens"] for t in trained if "max_steps" in t["training"]["trainer"]]
    assert found["whole"]["training_tokens"] == pytest.approx(counted + steps, rel=0.02)
    pace, whole = found["pace"], found["whole"]
    seconds = (
        whole["training_tokens"] / pace["training_tokens_per_second"]
        + whole["forward_tokens"] / pace["forward_tokens_per_second"]
    )
    assert whole["hours"] == pytest.approx(seconds / 3600, rel=0.05, abs=1e-4)
    assert pace["source"].startswith("measured here just now")
    assert found["at_most"] is False


def test_where_base_and_data_are_not_here_rows_are_as_long_as_they_may_be(tmp_path: Path) -> None:
    content = {
        "name": "away",
        "base": "org/no-such-base",
        "domains": {name: {"data": f"org/{name}"} for name in ("a", "b", "c")},
        "train_rows": 100,
        "test_rows": 10,
        "calibration_rows": 0,
        "seeds": [0, 1],
        "prompt": {"max_tokens": 50},
        "training": {"epochs": 2},
    }
    found = superpose.study(content, tmp_path / "run", dry_run=True)
    told = found.to_json()
    # Of each seed three singles, three pairs of 200 rows and 300 of all, sums and averages aside.
    assert told["cells"] == 1 + 2 * (3 + 3 * 4)
    assert told["whole"]["training_tokens"] == 2 * 2 * (3 + 3 * 2 + 3) * 100 * 49
    assert told["whole"]["forward_tokens"] == told["cells"] * 3 * 10 * 49
    assert told["at_most"] is True
    said = found._repr_html_()
    assert "on record for SmolLM2-135M" in said
    assert "org/no-such-base" in said
    (tmp_path / "run").mkdir()
    with pytest.raises(Missing):  # what lies there cannot be told to be this study
        superpose.study(content, tmp_path / "run", dry_run=True)


def test_the_pace_on_record_is_that_of_the_benchmarks() -> None:
    def tokens_a_second(name: str) -> Any:
        record = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
        return next(t["value"] for t in record["targets"] if t["what"] == "tokens/s, superpose")

    assert tokens_a_second("training") == RECORDED.training
    assert tokens_a_second("evaluation") == RECORDED.forward


def test_more_rows_than_there_are_is_refused_before_anything_is_measured(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    content = study_file(tiny_base, question_files) | {"train_rows": 999}
    with pytest.raises(BadInput, match="999 training"):
        superpose.study(content, tmp_path / "run", dry_run=True)
