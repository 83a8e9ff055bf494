"""The table of exact sums measures what it says, and the pages say what it measured."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.exactness.__main__ import beside, main
from benchmarks.exactness.cases import CASES, Case
from benchmarks.exactness.making import Made, write_case
from benchmarks.exactness.measuring import measure
from benchmarks.exactness.oracle import adapter_deltas, relative_error, right_sum
from benchmarks.exactness.pages import COMMAND, PAGE, RECORD, page, readme_table
from benchmarks.exactness.protocol import Answer, CannotAsk, Task, Tool, Way
from benchmarks.exactness.running import about, answers, outcome
from benchmarks.exactness.tools import TOOLS
from benchmarks.exactness.tools.peft import PEFT
from benchmarks.exactness.worker import answer
from benchmarks.readme import block_of
from safetensors.numpy import load_file


@pytest.fixture
def case_named(tmp_path: Path) -> Callable[[str], Made]:
    """Write the adapters of a case."""

    def write(name: str) -> Made:
        (case,) = (each for each in CASES if each.name == name)
        return write_case(case, tmp_path, tmp_path / f"case-{CASES.index(case)}")

    return write


def way_that(run: Callable[[Task], Path]) -> Way:
    """Give a way of a tool that does as it is told."""
    return Way("way", "call", "adapter", False, run)


def test_the_right_sum_is_the_weighted_sum_of_the_scaled_products(
    case_named: Callable[[str], Made],
) -> None:
    """By NumPy, from the files: PEFT is not needed to know it where adapters are plain."""
    made = case_named("a negative weight")
    task, right = made.task, right_sum(made).deltas
    first, second = (load_file(Path(path, "adapter_model.safetensors")) for path in task.adapters)
    module = "model.layers.1.self_attn.v_proj"
    products = [
        each[f"base_model.model.{module}.lora_B.weight"].astype(np.float64)
        @ each[f"base_model.model.{module}.lora_A.weight"]
        for each in (first, second)
    ]
    expected = 2 * products[0] - 0.7 * 2 * products[1]
    np.testing.assert_allclose(right[f"{module}.weight"].numpy(), expected, rtol=0, atol=1e-15)
    changed = {name for name, delta in right.items() if delta.abs().max() > 0}
    assert len(changed) == 4


def test_superpose_and_peft_write_the_sum_of_two_cases(case_named: Callable[[str], Made]) -> None:
    """The first in a process of its own, through the pipe; PEFT where nothing stands in its way."""
    (add, *_), (cat, *_) = TOOLS["superpose"].ways, PEFT.ways
    for name in ("plain", "different target modules"):
        made = case_named(name)
        task, right = made.task, right_sum(made)
        (said,) = answers(sys.executable, TOOLS["superpose"], add, [task])
        ours = outcome(add, task, said, right)
        theirs = outcome(cat, task, answer(cat, task), right)
        assert ours["error"] < 1e-7
        assert theirs["error"] < 1e-7


def test_a_sum_with_one_term_missing_is_as_wrong_as_that_term_is_large(
    case_named: Callable[[str], Made],
) -> None:
    made = case_named("plain")
    task, right = made.task, right_sum(made)
    only_the_first = way_that(lambda task: Path(shutil.copytree(task.adapters[0], task.out)))
    found = outcome(only_the_first, task, answer(only_the_first, task), right)
    missing = adapter_deltas(made.base, task.adapters[1])
    size = (
        sum(float(delta.square().sum()) for delta in missing.values())
        / sum(float(delta.square().sum()) for delta in right.deltas.values())
    ) ** 0.5
    assert found["error"] == pytest.approx(size, rel=0.01)
    assert found["error"] > 0.3


def test_a_parameter_that_one_side_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="on one side alone"):
        relative_error({}, right={"weight": np.ones(3)})  # type: ignore[dict-item]


def test_a_tool_may_refuse_or_have_no_way_to_be_asked(case_named: Callable[[str], Made]) -> None:
    made = case_named("plain")
    task, right = made.task, right_sum(made)

    def refuse(task: Task) -> Path:
        raise KeyError(task.adapters[0])

    def cannot(task: Task) -> Path:
        raise CannotAsk("no weights")

    found = [
        outcome(way_that(run), task, answer(way_that(run), task), right) for run in (refuse, cannot)
    ]
    assert found == [
        {"outcome": "refused", "message": "KeyError: 'CASE/adapter-0'"},
        {"outcome": "cannot", "message": "no weights"},
    ]


def test_what_cannot_be_loaded_is_broken_whether_the_tool_says_so_or_not(
    case_named: Callable[[str], Made],
) -> None:
    made = case_named("plain")
    task, right = made.task, right_sum(made)

    def write_and_raise(task: Task) -> Path:
        shutil.copytree(task.adapters[0], task.out)
        raise OSError("half")

    def write_half(task: Task) -> Path:
        out = Path(shutil.copytree(task.adapters[0], task.out))
        os.truncate(out / "adapter_model.safetensors", 100)
        return out

    for run in (write_and_raise, write_half):
        found = outcome(way_that(run), task, answer(way_that(run), task), right)
        assert found["outcome"] == "broken"
        assert str(Path(task.out).parent) not in found["message"]


def test_a_process_that_dies_is_replaced_for_the_next_task(tmp_path: Path) -> None:
    """The worker's own interpreter stands in: one that says nothing and ends."""
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nread line\nexit 7\n")
    silent.chmod(0o755)
    task = Task("case", "base", (), (), (), str(tmp_path / "out"))
    said = list(answers(str(silent), PEFT, PEFT.ways[0], [task, task]))
    assert said == [Answer("refused", "the process died, exit code 7")] * 2


def test_a_tool_that_is_nowhere_installed_is_named_and_left_out() -> None:
    nowhere = Tool("nowhere", "superpose-no-such-distribution", ())
    here = about(sys.executable, TOOLS["superpose"])
    assert here is not None
    assert {"superpose", "numpy", "python"} <= set(here)
    assert measure({"nowhere": nowhere}, ())["missing"] == ["nowhere"]


def test_an_interpreter_is_given_for_a_tool_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--python", "hammer=/usr/bin/python3"])
    assert "hammer" in capsys.readouterr().err


def test_the_pages_say_what_the_record_says() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(record)
    assert block_of(COMMAND) == readme_table(record)


def test_the_readme_counts_what_a_call_in_a_loaded_model_writes() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    lines = readme_table(record).splitlines()
    heads, _, *counts = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    kinds = [case["name"] for case in record["cases"] if case["group"] == "kinds of adapters"]
    (way,) = (row for row in record["ways"] if row["way"] == "in a PeftModel")
    errors = [way["outcomes"][name].get("error") for name in kinds]
    right = sum(error is not None and error <= record["rounded_at"] for error in errors)
    column = heads.index("`superpose.peft.add_weighted_adapter`")
    assert [line[column] for line in counts] == [str(right), "0", str(len(kinds) - right)]
    assert {sum(map(int, of)) for of in zip(*(line[1:] for line in counts), strict=True)} == {
        len(kinds)
    }


def test_the_record_covers_every_case_and_tool_and_tells_no_path() -> None:
    text = RECORD.read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text)
    assert [case["name"] for case in record["cases"]] == [case.name for case in CASES]
    measured = {(row["tool"], row["way"]) for row in record["ways"]}
    assert measured == {(name, way.name) for name, tool in TOOLS.items() for way in tool.ways}
    assert all(set(row["outcomes"]) == {case.name for case in CASES} for row in record["ways"])
    assert not any(part in text for part in ("/tmp", "/root", "/work", "site-packages", "/home"))


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert Case("x", ({}, {})).task_weights == (1.0, 1.0)


def test_one_tool_measured_again_takes_its_own_rows_place_and_no_other() -> None:
    before = {"cases": [1], "missing": ["c"], "ways": [
        {"tool": "a", "way": "x", "n": 1}, {"tool": "b", "way": "y", "n": 1},
    ]}  # fmt: skip
    again = {"cases": [1], "missing": [], "ways": [
        {"tool": "a", "way": "x", "n": 2}, {"tool": "a", "way": "z", "n": 2},
    ]}  # fmt: skip
    found = beside(before, again)
    assert [(row["tool"], row["way"], row["n"]) for row in found["ways"]] == [
        ("a", "x", 2), ("a", "z", 2), ("b", "y", 1),
    ]  # fmt: skip
    assert found["missing"] == ["c"]
    with pytest.raises(SystemExit, match="the cases have changed"):
        beside(before, again | {"cases": [2]})
