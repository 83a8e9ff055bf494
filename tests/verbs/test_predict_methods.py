"""Beside task weights predict measures regmean on the sum of all, and ends with what writes it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import superpose
from superpose.cli.app import main
from superpose.compose import RegMean
from superpose.data.domain import read_rows, sample_rows
from superpose.errors import BadInput, BadSetting
from superpose.landscape.merged_sum import MergedSum
from superpose.measure.calibrate import measure
from superpose.model import SuperposedModel
from superpose.report import render
from superpose.verbs.prompts import prompt_of

FEW = superpose.Calibration(rows=6, max_tokens=80)


@pytest.fixture
def files(question_files: dict[str, Path]) -> list[Path]:
    return [question_files["sums"], question_files["coins"]]


@pytest.fixture
def predicted(here: None, tiny_base: Path, files: list[Path]) -> Any:
    def run(**more: Any) -> Any:
        return superpose.predict(tiny_base, ["sums", "coins"], files, questions=FEW, **more)

    return run


def halves(file: Path, base: Any) -> tuple[list[Any], list[Any]]:
    """The rows that predict draws, in turns."""
    prompt = prompt_of(base, 80, "")
    rows = sample_rows(prompt.fitting(read_rows(file)), 6, seed=0, where="rows")
    return rows[::2], rows[1::2]


def test_each_row_is_measured_under_a_merge_of_the_other_half_of_the_rows(
    predicted: Any, files: list[Path], tiny_base: Path
) -> None:
    """By `merge` with one half's rows in memory and a forward pass over the other half."""
    found = predicted().merged
    base = superpose.load_base(tiny_base)
    prompt = prompt_of(base, 80, "")
    split = [halves(file, base) for file in files]
    nats, tokens = np.zeros(2), np.zeros(2)
    for half in (0, 1):
        data = [rows[half] for rows in split]
        asked = superpose.MergeQuestions(rows=3, max_tokens=80)
        merged = superpose.merge(
            ["sums", "coins"], method=RegMean(), data=data, questions=asked, base=base
        )  # fmt: skip
        with SuperposedModel(base.model, [merged]) as superposed:
            for place, rows in enumerate(split):
                examples = prompt.encode_all(rows[1 - half], "rows")
                sample = measure(superposed, examples, [[1.0]], gradients=False)
                nats[place] += sample.nll.sum()
                tokens[place] += sample.tokens.sum()
    assert [on.nll for on in found.domains] == pytest.approx((nats / tokens).tolist(), abs=1e-5)
    for on in found.domains:
        assert on.nll_low < on.nll < on.nll_high
        assert on.interference_low < on.interference < on.interference_high


def test_a_folder_keeps_what_was_measured_of_the_merge(
    predicted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another method is measured; what is there is not measured again."""
    out = tmp_path / "kept"
    first = predicted(out=out)
    (kept,) = (out / "merged").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr("superpose.measure.merged.merged_losses", None)
        assert predicted(out=out).merged == first.merged
    assert predicted(out=out, method="ssr").merged.method == "ssr"
    assert len(list((out / "merged").iterdir())) == 2
    kept.write_bytes(b"PK")
    with pytest.raises(BadInput, match="this file of the calibration cannot be read"):
        predicted(out=out)
    kept.unlink()
    again = predicted(out=out).merged
    assert again is not None
    assert again.domains == first.merged.domains


@pytest.mark.parametrize("method", ["regmean", "ssr"])
def test_the_command_that_it_ends_with_writes_that_merge(
    method: str, predicted: Any, files: list[Path], tiny_base: Path
) -> None:
    found = predicted(method=method)
    command = found.merged.command
    shown = [str(part) for part in found.shown()]
    assert command in shown[-1]
    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    assert not end.value.code
    written = superpose.load("OUT")
    right = superpose.merge(
        ["sums", "coins"], method=found_method(method), data=files, base=tiny_base,
        questions=superpose.MergeQuestions(rows=6, max_tokens=80),
    )  # fmt: skip
    assert written.made.method == method
    assert (written - right).norm() < 1e-5 * right.norm()


def found_method(name: str) -> Any:
    from superpose.compose import FROM_DATA

    return FROM_DATA[name]()


def test_it_stands_beside_naive_sum_and_best_weights_in_terminal_json_and_page(
    predicted: Any,
) -> None:
    found = predicted(plan="forecast")
    said = json.loads(json.dumps(found.to_json(), allow_nan=False))
    (method,) = said["methods"]
    assert MergedSum.from_json(method) == found.merged
    assert (method["method"], method["passes"]) == ("regmean", 2)
    table = found.shown()[-3]
    assert [column.title for column in table.columns] == [
        "domain", "own adapter", "naive sum", "best weights", "regmean"
    ]  # fmt: skip
    page = render(found.page("superpose predict"))
    assert "It is written by:" in page
    assert "Kept by regmean" in page
    assert method["command"] in page.replace("&#39;", "'")


def test_test_rows_are_measured_under_the_merge_that_the_command_writes(
    predicted: Any, files: list[Path], tmp_path: Path
) -> None:
    tests = []
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        tests.append(tmp_path / f"{file.stem}.test.jsonl")
        tests[-1].write_text("\n".join(lines[20:26]), encoding="utf-8")
        file.write_text("\n".join(lines[:16]), encoding="utf-8")
    found = predicted(test=tests)
    assert all(on.test is not None for on in found.merged.domains)
    assert "; test " in found.shown()[-3].rows[0][-1].beside


def test_it_is_left_out_where_it_was_not_asked_for(predicted: Any, tiny_base: Path) -> None:
    assert predicted(method="none").merged is None
    assert predicted(weights=["1,1"]).merged is None
    with pytest.raises(BadSetting, match="'ties' is none of regmean, ssr, none") as error:
        predicted(method="ties")
    assert error.value.where == "method"
