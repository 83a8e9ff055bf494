"""What the shell can do on a model, Python can do: the same answer, from names or from objects."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.verbs.given import shell

import superpose
from superpose.cli.app import main
from superpose.errors import BadSetting


def rows_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def without_times(found: Any) -> Any:
    """The same without the seconds, which no two runs share, and commands, which name files."""
    if isinstance(found, dict):
        left_out = ("seconds", "command")
        return {key: without_times(value) for key, value in found.items() if key not in left_out}
    return [without_times(value) for value in found] if isinstance(found, list) else found


CASES = {
    "ask": (("--prompt", "1+1?", "--max-new-tokens", 3), {}),
    "eval": (("--rows", 4), {"questions": superpose.TestQuestions(rows=4)}),
    "predict": (("--rows", 4), {"questions": superpose.Calibration(rows=4)}),
    "tune": (
        ("--rows", 4, "--objective", "worst"),
        {"questions": superpose.Calibration(rows=4), "goal": superpose.Goal(objective="worst")},
    ),
}


@pytest.mark.parametrize("command", CASES)
@pytest.mark.parametrize("loaded", [False, True], ids=["names", "objects"])
def test_a_verb_gives_what_its_command_prints(
    command: str, loaded: bool, tiny_base: Path, adapters: list[Path],
    question_files: dict[str, Path], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options, settings = CASES[command]
    files = [word for path in question_files.values() for word in ("--data", path)]
    printed = shell(capsys, command, tiny_base, *adapters, *options, *files * (command != "ask"))
    base: Any = tiny_base
    parts: list[Any] = list(map(str, adapters))
    data: Any = list(question_files.values())
    if loaded:
        from superpose.model import load_base

        base = load_base(tiny_base)
        parts = [superpose.load(path) for path in adapters]
        data = {name: rows_of(path) for name, path in question_files.items()}
    if command == "ask":
        found = superpose.ask(base, parts, "1+1?", superpose.Answering(max_new_tokens=3))
    else:
        verb = superpose.evaluate if command == "eval" else getattr(superpose, command)
        found = verb(base, parts, data, **settings)
    assert without_times(json.loads(json.dumps(found.to_json()))) == without_times(printed)


def test_task_weights_stand_behind_a_name_or_in_a_mapping(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    first, second = map(str, adapters)
    data = list(question_files.values())
    behind = superpose.evaluate(tiny_base, [first, f"{second}:0.5"], data, only="sum")
    mapped = superpose.evaluate(tiny_base, {first: 1.0, second: 0.5}, data, only="sum")
    assert behind.to_json() == mapped.to_json()
    assert behind.evaluations[-1].weighting.vector == (1.0, 0.5)


def test_progress_is_told_until_all_is_done(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    told: dict[str, list[tuple[float, float | None]]] = {}

    def progress(done: float, total: float | None, what: str) -> None:
        told.setdefault(what, []).append((done, total))

    data = {name: rows_of(path) for name, path in question_files.items()}
    few = superpose.Calibration(rows=4)
    superpose.predict(tiny_base, list(map(str, adapters)), data, questions=few, progress=progress)
    superpose.evaluate(tiny_base, list(map(str, adapters)), data, progress=progress)
    assert list(told) == ["calibrate", "regmean", "evaluate"]
    for steps in told.values():
        done = [step for step, _ in steps]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] == steps[-1][1]


def test_a_setting_is_named_as_python_names_it_and_as_an_option_in_the_shell(
    tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadSetting, match=r"^least, most: 1 to 1 is no range"):
        superpose.Goal(least=1.0, most=1.0)
    for least, most in ((0.0, 1e308), (-1e9, 1.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(BadSetting, match="is no range of weights"):
            superpose.Goal(least=least, most=most)
    with pytest.raises(SystemExit):
        main(["tune", str(tiny_base), "a", "-d", "a", "--least", "1", "--most", "1"])
    assert "error: --least, --most: 1 to 1 is no range" in capsys.readouterr().err


def test_what_is_said_on_the_way_goes_to_the_logger_and_stays_with_the_result(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    few = superpose.Calibration(rows=4)
    with caplog.at_level(logging.INFO, logger="superpose"):
        found = superpose.predict(
            tiny_base, list(map(str, adapters)), list(question_files.values()), questions=few
        )
    said = [record.getMessage() for record in caplog.records]
    assert "4 calibration rows are few: look at the intervals" in said
    assert set(found.cautions) <= set(said)


def test_a_result_shows_itself_in_a_notebook_and_on_a_page(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    few = superpose.Calibration(rows=4)
    data = list(question_files.values())
    predicted = superpose.predict(tiny_base, list(map(str, adapters)), data, questions=few)
    tuned = superpose.tune(tiny_base, list(map(str, adapters)), data, questions=few)
    for found in (predicted, tuned):
        assert "sums" in found._repr_html_()
        page = found.page()
        assert page.title
        assert len(page.sections) > 2
    verdict = predicted.verdict
    on_page = predicted.page().sections[0].values["sentences"]
    assert (*verdict.sentences, *on_page[1:]) == on_page
    assert len(verdict.shown()) == len(verdict.sentences) == 1  # there is no gain
