"""Rows with choices: what `predict` says of right answers is what the model answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verbs.given import shell

import superpose
from superpose.data.domain import Row
from superpose.data.prompt import Prompt
from superpose.landscape.choice_sample import margins
from superpose.landscape.forecast import subsets
from superpose.measure.choices import choice_nll
from superpose.model import SuperposedModel, load_base
from superpose.shown import Line, Table

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")
NAMES = ("sums", "coins", "open")


@pytest.fixture
def three(write_adapter: Any) -> list[str]:
    """Adapters of the tiny base that turn some of its answers."""
    return [
        str(
            write_adapter(
                name, seed=seed, modules=MODULES, width=32, alpha=3, base_model="tiny-llama"
            )
        )
        for seed, name in enumerate(NAMES)
    ]


def rows(first: int, many: int) -> dict[str, list[dict[str, Any]]]:
    """Two domains with choices, and an open one."""
    numbers = range(first + 1, first + 1 + many)
    return {
        "sums": [
            {"question": f"What is {n} plus {n}?", "answer": f"{2 * n}",
             "choices": [f"{2 * n}", f"{2 * n + 1}", f"{n}"]}
            for n in numbers
        ],
        "coins": [
            {"question": f"How many cents are {n} dimes?", "answer": f"{10 * n}",
             "choices": [f"{n}", f"{10 * n}"]}
            for n in numbers
        ],
        "open": [{"question": f"After {n}?", "answer": f"{n + 1}"} for n in numbers],
    }  # fmt: skip


def shares(base: Any, adapters: list[str], asked: dict[str, list[dict[str, Any]]]) -> Any:
    """Right answers of every subset, asked of the model question by question."""
    prompt = Prompt(base.tokenizer, max_tokens=128)
    found = {}
    with SuperposedModel(base.model, [superpose.load(path) for path in adapters]) as superposed:
        for weights in subsets(3):
            for domain in ("sums", "coins"):
                with superposed.at(weights) as model:
                    right = []
                    for record in asked[domain]:
                        row = Row(record["question"], record["answer"], tuple(record["choices"]))
                        question = prompt.encode_choices(row)
                        assert question is not None
                        nll = choice_nll(model, [question]).nll
                        right.append(margins(nll, np.array([question.right]))[0] > 0)
                found[weights, domain] = np.mean(right)
    return found


def test_right_answers_that_were_measured_are_those_of_the_model(
    tiny_base: Path, three: list[str]
) -> None:
    """On calibration rows where the design measures, and on test rows everywhere."""
    data, test = rows(0, 16), rows(40, 10)
    base = load_base(tiny_base)
    few = superpose.Calibration(rows=16)
    found = superpose.predict(base, three, data, test, questions=few)
    calibrated, tested = (shares(base, three, asked) for asked in (data, test))
    assert len(set(calibrated.values())) > 2, "the adapters turn answers"
    assert [one.domain for one in found.right] == ["sums", "coins"]
    for one in found.to_json()["right_answers"]:
        assert one["chance"] == pytest.approx(1 / len(one["questions"][0]["choices"]))
        for row in one["accuracies"]:
            weights = tuple(row["weights"].values())
            if weights in {key for key, _ in tested}:
                assert row["test"] == pytest.approx(tested[weights, row["domain"]])
            if row["measured"]:
                right = calibrated[weights, row["domain"]]
                assert row["accuracy"] == pytest.approx(right, abs=1e-9)
            assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        measured = [tuple(row["weights"].values()) for row in one["accuracies"] if row["measured"]]
        assert {(0, 0, 0), (1, 1, 1)} < set(measured)
    page = found.page()
    assert "right" in [section.key for section in page.sections]
    parts = found.shown()
    (table,) = (p for p in parts if isinstance(p, Table) and p.title.startswith("Right answers"))
    assert [column.title for column in table.columns] == ["task weights", "sums", "coins"]
    assert sum(isinstance(p, Line) and "The sum of all breaks" in p.strong for p in parts) == 2


def test_the_command_prints_the_same_and_open_questions_have_no_right_answers(
    tiny_base: Path, three: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = rows(0, 6)
    words = []
    for name, held in data.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, held)), encoding="utf-8")
        words += ["--data", path]
    few = superpose.Calibration(rows=4)
    found = superpose.predict(tiny_base, three, data, questions=few)
    printed = shell(capsys, "predict", tiny_base, *three, *words, "--rows", 4)
    assert printed["right_answers"] == json.loads(json.dumps(found.to_json()["right_answers"]))
    plain = {
        name: [{key: row[key] for key in ("question", "answer")} for row in held]
        for name, held in data.items()
    }
    without = superpose.predict(tiny_base, three, plain, questions=few)
    assert without.to_json()["right_answers"] == []
    assert "right" not in [section.key for section in without.page().sections]


def test_rows_without_choices_among_others_are_left_out_and_that_is_said(
    tiny_base: Path, three: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    data = rows(0, 4)
    del data["sums"][1]["choices"]
    with caplog.at_level("INFO", logger="superpose"):
        found = superpose.predict(tiny_base, three, data, questions=superpose.Calibration(rows=4))
    assert len(found.right.answers[0].rows) == 3
    said = [record.getMessage() for record in caplog.records]
    assert "sums: 1 of 4 rows have no choices that fit; right answers are of the others" in said
