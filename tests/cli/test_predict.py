"""`superpose predict` from the command line, on a tiny model: what it says is what is measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")
"""In the order of a file that safetensors wrote."""


@pytest.fixture
def adapters(write_adapter, tmp_path: Path) -> list[Path]:  # type: ignore[no-untyped-def]
    """Two adapters of the tiny base that change its loss by a few per cent."""
    return [
        write_adapter(
            name, seed=seed, modules=MODULES, width=32, alpha=0.1, base_model="tiny-llama"
        )
        for seed, name in enumerate(("sums", "coins"))
    ]


def test_predictions_are_what_is_measured_on_other_rows_of_the_domain(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    tests = {}
    for name, path in question_files.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        (tmp_path / f"{name}.test.jsonl").write_text("\n".join(lines[16:]), encoding="utf-8")
        path.write_text("\n".join(lines[:16]), encoding="utf-8")
        tests[name] = tmp_path / f"{name}.test.jsonl"
    data = [arg for path in question_files.values() for arg in ("--data", path)]
    test = [arg for path in tests.values() for arg in ("--test", path)]
    page = tmp_path / "page.html"
    words = ("--rows", 12, "--html", page, "--json")
    ended = run("predict", tiny_base, *adapters, *data, *test, *words)
    assert ended.code == 0, ended.err
    text = page.read_text(encoding="utf-8")
    for kind, files in (("12 calibration rows", question_files), ("16 test rows", tests)):
        for name, path in files.items():
            mark = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            row = f'{name}</th><td class="name">{kind}</td><td class="name">{mark}'
            assert row in text
    assert "measured on test rows" in text
    said = json.loads(ended.out)
    assert said["adapters"] == ["sums", "coins"]
    assert said["domains"] == list(question_files)
    assert len(said["predictions"]) == len(said["measured"]) == 4 * 2
    assert said["calibration"]["rows"] == 24
    assert said["calibration"]["forward_equivalents"] == 2 + 2 * 2
    inside = 0
    for row, seen in zip(said["predictions"], said["measured"], strict=True):
        assert (row["weights"], row["domain"]) == (seen["weights"], seen["domain"])
        assert row["nll_low"] < row["nll"] < row["nll_high"]
        inside += abs(row["nll"] - seen["nll"]) < 0.1
    assert inside == 8
    for found in said["disturbances"]:
        assert sum(found["modules"].values()) == pytest.approx(found["nll"])
        assert set(found["modules"]) == set(MODULES)
    assert said["advice"]["verdict"]


def test_the_terminal_shows_the_verdict_first(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    data = [arg for path in question_files.values() for arg in ("--data", path)]
    ended = run("predict", tiny_base, *adapters, *data, "--rows", 4, "--quiet")
    assert ended.code == 0, ended.err
    first = ended.out.splitlines()[0]
    assert first.startswith("No adapter gains more on its own domain than")
    assert "measured on 8 calibration rows" in first
    assert "Plan: measured, 3 forward passes of each of 8 calibration rows" in ended.out
    assert "6 passes" in ended.out
    assert "~" not in ended.out.partition("Plan:")[0]
    assert "sums + coins" in ended.out
    assert "Who disturbs whom" in ended.out
    assert "4 calibration rows are few" in ended.err


def test_a_measured_figure_is_the_loss_on_the_calibration_rows_and_a_forecast_meets_it(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    """Every sum, some weights, and both ways, on the same rows."""
    data = [arg for path in question_files.values() for arg in ("--data", path)]
    words = ("predict", tiny_base, *adapters, *data, "--rows", 6, "--quiet", "--json")
    measured, foretold, asked = (
        json.loads(run(*words, *more).out)
        for more in ((), ("--plan", "forecast"), ("--weights", "1,1", "--weights", "0.5,-1"))
    )
    assert (measured["plan"]["chosen"], foretold["plan"]["chosen"]) == ("measure", "forecast")
    assert measured["plan"]["measure"]["passes"] == 3
    assert {row["how"] for row in measured["predictions"]} == {"measured"}
    assert {row["how"] for row in foretold["predictions"]} == {"measured", "foretold"}

    def by(found: Any) -> Any:
        return {(tuple(r["weights"].values()), r["domain"]): r for r in found["predictions"]}

    ends = ("nll", "nll_low", "nll_high", "interference", "interference_low")
    for key, row in by(measured).items():
        same = by(foretold)[key]
        assert same["how"] == "measured" or key[0] == (1, 1)
        wanted = ends if same["how"] == "measured" else ()
        assert [row[k] for k in wanted] == pytest.approx([same[k] for k in wanted], abs=1e-6)
    assert measured["advice"]["weights"] is None
    assert foretold["advice"]["weights"]
    assert asked["advice"] is None
    assert {row["how"] for row in asked["asked"]} == {"measured"}
    assert [tuple(row["weights"].values()) for row in asked["asked"]] == [
        (1, 1), (1, 1), (0.5, -1), (0.5, -1)
    ]  # fmt: skip
    for row in asked["asked"][:2]:
        same = by(measured)[(1, 1), row["domain"]]
        assert row["nll"] == pytest.approx(same["nll"], abs=1e-6)


def test_wrong_plans_and_weights_are_refused_by_name(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    data = [arg for path in question_files.values() for arg in ("--data", path)]
    for message, words in {
        "'guess' is none of auto, measure, forecast": ("--plan", "guess"),
        "3 task weights and 2 adapters": ("--weights", "1,2,3"),
        "no list of task weights": ("--weights", "heavy"),
    }.items():
        ended = run("predict", tiny_base, *adapters, *data, "--rows", 4, *words)
        assert ended.code == 2, (message, ended.err)
        assert message in ended.err


def test_bad_input_is_refused_with_exit_code_2(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    one, two = question_files.values()
    (tmp_path / "empty.jsonl").write_text('{"question": "x", "answer": ""}')
    cases = {
        "2 adapters and 1 domain": ("--data", one),
        "calibration rows too": ("--data", one, "--data", two, "--test", one, "--test", two),
        "answer": ("--data", one, "--data", tmp_path / "empty.jsonl"),
        "no such question file": ("--data", one, "--data", tmp_path / "none.jsonl"),
    }
    cases["has 1 calibration rows"] = ("--data", one, "--data", two, "--rows", 1)
    for message, options in cases.items():
        ended = run("predict", tiny_base, *adapters, "--rows", 4, *options)
        assert ended.code == 2, (message, ended.err)
        assert message in ended.err
        assert ended.out == ""


def test_a_slope_is_what_differences_give(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    from superpose.data.domain import read_rows
    from superpose.data.prompt import Prompt
    from superpose.formats import load
    from superpose.measure.calibrate import measure
    from superpose.model import SuperposedModel, load_base

    base = load_base(tiny_base)
    prompt = Prompt(base.tokenizer, max_tokens=80)
    rows = read_rows(str(question_files["sums"]), question="question", answer="answer")
    examples = prompt.encode_all(rows[:5])
    at, step = np.array([0.7, 0.4]), 1e-2
    with SuperposedModel(base.model, [load(path) for path in adapters]) as model:
        found = measure(model, examples, [at])
        assert found.modules == MODULES
        for k in range(2):
            ends = [at + sign * step * np.eye(2)[k] for sign in (1, -1)]
            high, low = measure(model, examples, ends, gradients=False).loss
            assert found.slope[0, k] == pytest.approx((high - low) / (2 * step), rel=2e-2)
        each = measure(model, examples[:1], [at])
        assert each.gradient[0, 0] == pytest.approx(found.gradient[0, 0], rel=1e-3, abs=1e-5)


def test_a_name_is_a_number_or_a_list_in_all_that_is_printed(
    run: Run, tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
) -> None:  # fmt: skip
    data = [word for path in question_files.values() for word in ("--data", path)]
    on_base = (tiny_base, *adapters, *data, "--rows", 4)
    lists: set[str] = set()
    numbers: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            lists.update(key for key, held in value.items() if isinstance(held, list))
            numbers.update(key for key, held in value.items() if isinstance(held, int | float))
            value = [*value.values()]
        if isinstance(value, list):
            for held in value:
                walk(held)

    for words in (
        ("check", *adapters), ("info", *adapters), ("diff", *adapters),
        ("predict", *on_base), ("tune", *on_base), ("eval", *on_base),
        ("ask", tiny_base, *adapters, "--prompt", "1 + 1?", "--max-new-tokens", 2),
    ):  # fmt: skip
        ended = run(*words, "--json")
        assert ended.code == (words[0] == "diff"), ended.err
        walk(json.loads(ended.out))
    assert {"predictions", "evaluations", "modules"} <= lists
    assert {"rows", "module_count", "perplexity_low", "nll_high"} <= numbers
    assert not {"low", "high"} & (lists | numbers)
    assert lists & numbers == {"sums", "coins"}, "no more than the adapters' names"
