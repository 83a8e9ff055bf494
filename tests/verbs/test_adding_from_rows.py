"""A merge that needs rows of the domains is one command, and what it needs is measured there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.verbs.conftest import MODULES

import superpose
from superpose.adapter import Place
from superpose.cli.app import main
from superpose.compose import RegMean, RegMeanTuned, Ssr, TunedSum
from superpose.errors import BadInput, BadSetting, MissingBase, Refused
from superpose.lowrank import dense

FEW = superpose.MergeQuestions(rows=8, max_tokens=80)
OPTIONS = ("--rows", 8, "--max-tokens", 80)


@pytest.fixture
def rows(question_files: dict[str, Path]) -> list[Path]:
    return [question_files["sums"], question_files["coins"]]


@pytest.fixture
def on_base(write_adapter: Any, tiny_base: Path) -> list[Path]:
    """Two adapters that name their base by where it lies."""
    return [
        write_adapter(name, seed=n, modules=MODULES, width=32, alpha=0.1, base_model=str(tiny_base))
        for n, name in enumerate(("one", "two"))
    ]


def added(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["add", *map(str, words)])
    return int(end.value.code or 0)


def with_data(files: list[Path]) -> list[object]:
    return [word for file in files for word in ("--data", file)]


def assert_same(one: superpose.Adapter, other: superpose.Adapter, within: float = 1e-5) -> None:
    assert set(one) == set(other)
    for key, delta in one.items():
        a, b = (np.asarray(dense(d.terms), np.float64) for d in (delta, other[key]))
        np.testing.assert_allclose(a, b, atol=within * np.abs(a).max())


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (RegMean(), ["regmean"]),
        (RegMean(ridge=0.1), ["regmean", "--ridge", "0.1"]),
        (Ssr(), ["ssr"]),
        (TunedSum("adapter"), ["tuned", "--by", "adapter"]),
        pytest.param(TunedSum("module"), ["tuned", "--by", "module"], marks=pytest.mark.hard),
        (TunedSum("direction"), ["tuned"]),
        pytest.param(RegMeanTuned(), ["regmean-tuned"], marks=pytest.mark.hard),
        (RegMeanTuned(by="layer"), ["regmean-tuned", "--by", "layer"]),
    ],
)
def test_the_shell_writes_in_one_step_what_python_merges_with_the_same_rows(
    method: Any, words: list[str], on_base: list[Path], rows: list[Path], tmp_path: Path
) -> None:
    """The base is the one that the adapters name."""
    out = tmp_path / "out"
    assert added(*on_base, "--method", *words, *with_data(rows), *OPTIONS, "-o", out, "-q") == 0
    found = superpose.load(out)
    assert (found.made.method, found.made.settings) == (method.name, method.settings)
    right = superpose.merge(on_base, method=method, data=rows, questions=FEW)
    assert_same(found, right)
    assert (right - superpose.merge(on_base)).norm() > 0.01 * right.norm()


def test_the_regression_is_that_of_the_statistics_of_the_same_rows(
    adapters: list[Path], rows: list[Path], tiny_base: Path
) -> None:
    """Loaded adapters, a loaded base and rows in memory are as good as their names."""
    asked = superpose.InputQuestions(rows=8, max_tokens=80)
    whole = [
        superpose.input_statistics(tiny_base, file, None, asked, directions=1000).statistics
        for file in rows
    ]
    right = superpose.merge(adapters, [1.0, 0.5], RegMean(tuple(whole)))
    in_memory = [
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for file in rows
    ]
    found = superpose.merge(
        [superpose.load(path) for path in adapters], [1.0, 0.5], RegMean(),
        data=in_memory, questions=FEW, base=superpose.load_base(tiny_base),
    )  # fmt: skip
    assert_same(found, right, within=1e-4)


def test_tuned_weights_are_those_that_tune_finds(
    adapters: list[Path], rows: list[Path], tiny_base: Path, tmp_path: Path
) -> None:
    asked = superpose.Calibration(rows=8, max_tokens=80)
    goal = superpose.Goal(by="layer")
    file = tmp_path / "weights.json"
    tuned = superpose.tune(tiny_base, adapters, rows, goal, asked)
    file.write_text(json.dumps(tuned.to_json()), encoding="utf-8")
    method = TunedSum("layer")
    found = superpose.merge(adapters, method=method, data=rows, questions=FEW, base=tiny_base)
    assert_same(found, superpose.merge(adapters, file, method))


def test_weights_on_top_of_the_regression_do_not_lose_to_it_where_they_are_fitted(
    on_base: list[Path], rows: list[Path], tiny_base: Path
) -> None:
    """A quarter of the rows chooses among the states, the regression itself among them."""
    asked = superpose.MergeQuestions(rows=12, max_tokens=80)
    told: list[str] = []
    plain, tuned = (
        superpose.merge(
            on_base, method=method, data=rows, questions=asked,
            progress=lambda *step: told.append(step[2]),
        )
        for method in (RegMean(), RegMeanTuned())
    )  # fmt: skip
    assert "tune by module" in told
    assert tuned.rank == plain.rank
    assert dict(tuned.made.settings)["by"] == "module"


def test_what_is_measured_is_told_to_the_progress(
    adapters: list[Path], rows: list[Path], tiny_base: Path, tmp_path: Path
) -> None:
    told: list[tuple[float, float | None, str]] = []
    superpose.add(
        adapters, tmp_path / "out", method=RegMean(), data=rows, questions=FEW, base=tiny_base,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    steps = [(done, of) for done, of, what in told if what == "statistics"]
    assert steps[0] == (0.0, 16)
    assert steps[-1] == (16.0, 16)


def test_rows_count_before_what_lies_beside_an_adapter(
    adapters: list[Path], rows: list[Path], tiny_base: Path
) -> None:
    few = superpose.InputQuestions(rows=2, max_tokens=80)
    for file, adapter in zip(rows, adapters, strict=True):
        superpose.input_statistics(tiny_base, file, adapter, few, directions=2)
    beside = superpose.merge(adapters, method=RegMean())
    measured = superpose.merge(
        adapters, method=RegMean(), data=rows, questions=FEW, base=tiny_base
    )  # fmt: skip
    assert (beside - measured).norm() > 1e-3 * measured.norm()


WRONG: list[tuple[list[object], str]] = [
    (["--method", "regmean", "--rows", "8"], "--data: there are none that rows could be drawn"),
    (
        ["--method", "ties", "DATA"],
        "--data: `ties` asks for none: regmean, ssr, tuned, ",
    ),
    (["DATA"], "--data: `sum` asks for none"),
    (["--method", "regmean", "DATA"], "--base: no adapter names its base model"),
    (["--method", "tuned", "DATA", "--weights", "1,2", "BASE"], "--weights: `tuned` finds the"),
    (["--method", "regmean", "DATA", "DATA", "BASE"], "--data: 2 adapters and 4 domains"),
    (["--method", "regmean", "--data", "none.jsonl", "BASE"], "none.jsonl"),
    (["--method", "regmean", "DATA", "--rows", "0", "BASE"], "0"),
    (["--method", "regmean", "DATA", "--question", "prompt", "BASE"], "prompt"),
    (["--method", "regmean", "--ridge", "-1", "DATA", "BASE"], "--ridge: "),
    (["--method", "tuned", "--by", "word", "DATA", "BASE"], "--by: `word` is none of adapter"),
    (["--method", "tuned", "--rows", "2", "DATA", "BASE"], "too few to hold some out"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_bad_input_is_exit_2_by_its_name_and_nothing_is_written(
    words: list[object], said: str, write_adapter: Any, rows: list[Path], tiny_base: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    parts = [
        write_adapter(name, seed=n, modules=MODULES, width=32, base_model=None)
        for n, name in enumerate(("one", "two"))
    ]
    given: dict[object, list[object]] = {"DATA": with_data(rows), "BASE": ["--base", tiny_base]}
    line = [word for each in words for word in given.get(each, [each])]
    assert added(*parts, *line, "-o", tmp_path / "out", "-q") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_rows_without_tokens_are_refused_by_their_place(
    adapters: list[Path], rows: list[Path], tiny_base: Path
) -> None:
    empty = [{"question": "What?", "answer": " "}, {"question": "", "answer": "x"}]
    with pytest.raises(BadInput):
        superpose.merge(adapters, method=RegMean(), data=[empty, rows[0]], base=tiny_base)


def test_a_base_that_is_not_here_says_how_to_name_another(
    write_adapter: Any, rows: list[Path], tmp_path: Path
) -> None:
    parts = [
        write_adapter(name, seed=n, modules=MODULES, width=32, base_model=str(tmp_path / "gone"))
        for n, name in enumerate(("one", "two"))
    ]
    with pytest.raises(MissingBase, match="The adapters name it") as error:
        superpose.merge(parts, method=RegMean(), data=rows, questions=FEW)
    assert "--base BASE" in str(error.value)


def test_what_the_method_cannot_merge_is_refused_before_the_rows_are_read(
    adapters: list[Path],
) -> None:
    part = superpose.load(adapters[0])
    key, delta = next(iter(part.items()))
    words = replace(part, deltas={key: replace(delta, place=Place(key, kind="embedding"))})
    with pytest.raises(Refused, match="knows inputs of linear layers, and this is a embedding"):
        superpose.merge([words], method=RegMean(), data=["none.jsonl"], base="none")


def test_what_was_measured_already_is_not_measured_again(
    adapters: list[Path], rows: list[Path], tiny_base: Path
) -> None:
    asked = superpose.InputQuestions(rows=2, max_tokens=80)
    known = tuple(superpose.input_statistics(tiny_base, f, None, asked).statistics for f in rows)
    with pytest.raises(BadSetting, match="has what it needs, and rows as well") as error:
        superpose.merge(adapters, method=RegMean(known), data=rows, base=tiny_base)
    assert error.value.where == "data"
