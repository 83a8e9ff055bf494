"""Merge methods held against each other by one command: what it measures, keeps and writes."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import superpose
from superpose import Comparing
from superpose.cli.app import main
from superpose.compose import FineWeights, TunedSum, merge
from superpose.errors import BadInput, BadSetting
from superpose.measure import ranking
from superpose.measure.contenders import BEYOND, CONTENDERS, USUAL, contenders
from superpose.measure.ranking import ranked
from superpose.report import render
from superpose.statistics import wilson
from superpose.verbs.comparing_cost import time_text
from superpose.verbs.notes import heard_by

METHODS = ("regmean", "ties", "tuned by direction")
FEW = Comparing(rows=4, test_rows=5, passes=3, max_tokens=80)


@pytest.fixture
def compared(
    here: None, tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> Callable[..., Any]:
    files = [question_files["sums"], question_files["coins"]]

    def run(methods: tuple[str, ...] = METHODS, questions: Comparing = FEW, **more: Any) -> Any:
        return superpose.compare(
            tiny_base, ["sums", "coins"], files, methods=methods, questions=questions, **more
        )

    return run


def test_all_have_one_budget_and_stand_beside_base_own_naive_and_merged_data(
    compared: Callable[..., Any], tmp_path: Path
) -> None:
    told: list[tuple[float, float | None, str]] = []
    found = compared(out=tmp_path / "kept", merged="coins", progress=lambda *t: told.append(t))
    assert {each.standing.method for each in found.ranked} == {"sum", *METHODS}
    assert {each.standing.passes for each in found.ranked} == {3.0}
    assert [one.method for one in found.references] == [
        "base", "own adapters", "naive sum", "merged data",
    ]  # fmt: skip
    assert told[-1][0] == told[-1][1], "the progress comes to its end"
    objectives = [each.standing.objective for each in found.ranked]
    assert objectives == sorted(objectives)
    said = found.to_json()
    json.dumps(said, allow_nan=False)
    for each in said["methods"]:
        assert (each["verdict"] == "") == (each["method"] == "sum")
        assert each["dppl_merged"] is not None
    rows = list(csv.DictReader((tmp_path / "kept" / "table.csv").read_text().splitlines()))
    assert len(rows) == 2 * 8
    page = render(found.page("superpose compare"))
    assert page.count("<table") >= 3
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "no two parts of the page have one anchor"
    for each in found.ranked:
        assert each.standing.method in page


@pytest.mark.parametrize("method", ["tuned by direction", "regmean", "regmean-tuned by module"])
def test_the_best_is_written_by_the_commands_that_it_ends_with(
    method: str, compared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Followed as they are printed; whichever method is taken for the best one."""
    monkeypatch.setattr(
        ranking, "ranked", lambda *g: sorted(ranked(*g), key=lambda e: e.standing.method != method)
    )
    enough = replace(FEW, passes=8) if method.startswith("regmean-tuned") else FEW
    found = compared((method,), enough, out=tmp_path / "kept")
    for line in found.commands:
        with pytest.raises(SystemExit) as end:
            main(shlex.split(line)[1:])
        assert not end.value.code, line
    parts, written = [superpose.load(name) for name in ("sums", "coins")], superpose.load("OUT")
    if method.startswith("tuned"):
        right = merge(parts, None, TunedSum(weights=tuple(map(FineWeights, found.best.fine))))
        assert (written - right).norm() < 1e-6 * right.norm()
    assert (written.made.method, dict(written.made.settings)) == (
        method.partition(" ")[0], dict(found.best.settings),
    )  # fmt: skip


def test_a_comparison_that_was_stopped_goes_on_and_another_is_refused(
    compared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compared(("ties",))
    folder = tmp_path / "kept"
    compared(("ties",), out=folder)
    (folder / "standings" / "ties.json").unlink()
    before = (folder / "standings" / "sum.json").stat().st_mtime_ns
    again = compared(("ties",), out=folder)
    assert (folder / "standings" / "sum.json").stat().st_mtime_ns == before
    figures = [[e.standing.objective for e in found.ranked] for found in (whole, again)]
    assert figures[0] == pytest.approx(figures[1])
    with pytest.raises(BadInput, match="another comparison; it differs in passes"):
        compared(("ties",), Comparing(rows=4, test_rows=5, passes=4, max_tokens=80), out=folder)
    (folder / "standings" / "ties.json").write_text("{}")
    with pytest.raises(BadInput, match="this file of the comparison cannot be read"):
        compared(("ties",), out=folder)


def test_what_is_given_wrongly_is_named(compared: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="`tis` is no method") as caught:
        compared(("tis",))
    assert caught.value.where == "methods"
    asked = Comparing(rows=4, test_rows=2, passes=2, max_tokens=80)
    with pytest.raises(BadSetting, match="too few for 2 settings of `regmean`"):
        compared(("regmean",), asked, out=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()  # refused before the plain sum was measured
    with pytest.raises(BadSetting, match="0 is below 1"):
        Comparing(passes=0)
    with pytest.raises(BadSetting, match="has no rows beside its"):
        compared(("ties",), Comparing(rows=None, max_tokens=80))


def test_what_it_takes_is_said_first_and_is_what_it_does(
    compared: Callable[..., Any], tmp_path: Path
) -> None:
    said: list[str] = []
    told: list[tuple[float, float | None, str]] = []
    with heard_by(lambda kind, text: said.append(text)):
        compared(out=tmp_path / "kept", progress=lambda *t: told.append(t))
        compared(out=tmp_path / "kept")
    (cost,) = [text for text in said if "forward passes" in text]
    assert cost.startswith(f"4 methods take {told[-1][1]:,.0f} forward passes of a row, ")
    assert "; --methods sum,regmean takes " in cost
    assert len([text for text in said if "forward passes" in text]) == 1, "nothing was left to do"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (9000, "2.5 h")],
)
def test_times_are_written_in_what_fits(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_without_names_the_usual_methods_are_compared_and_all_are_all() -> None:
    assert tuple(one.name for one in contenders()) == USUAL
    assert {one.name for one in contenders(["all"])} == {*CONTENDERS, *BEYOND}
    assert len(CONTENDERS) == 23, "what the benchmark of methods has registered"
    assert not set(CONTENDERS) & set(BEYOND)


def test_right_answers_stand_with_their_intervals_beside_chance_in_every_form(
    here: None, tiny_base: Path, tmp_path: Path
) -> None:
    """One domain has two and three choices in turn, and the other is open."""
    rows = [
        {"question": f"{n}?", "answer": "a", "choices": ["b", "a", "c"][: 2 + n % 2]}
        for n in range(20)
    ]
    open_ones = [{"question": f"And {n}?", "answer": "b"} for n in range(20)]
    found = superpose.compare(
        tiny_base, ["sums", "coins"], {"chosen": rows, "open": open_ones}, out=tmp_path / "kept",
        methods=("ties",), questions=FEW,
    )  # fmt: skip
    said = found.to_json()
    assert set(said["chance"]) == {"chosen"}
    assert 1 / 3 <= said["chance"]["chosen"] <= 1 / 2
    (table,) = (each for each in found.tables() if each.title.startswith("Right answers"))
    told = {name.text: share.text for name, share in table.rows}
    assert told.pop("chance") == f"{said['chance']['chosen']:.0%}"
    for one in (*(each.standing for each in found.ranked), *found.references):
        right = one.right["chosen"]
        low, high = one.accuracy_intervals["chosen"]
        assert (low, high) == wilson(sum(right), len(right))
        assert told.pop(one.method) == f"{one.accuracy:.0%} [{100 * low:.0f}, {100 * high:.0f}]"
    assert not told
    with (tmp_path / "kept" / "table.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            known = [row[name] for name in ("accuracy", "accuracy_low", "accuracy_high", "chance")]
            assert all(known) if row["domain"] == "chosen" else not any(known)
    page = render(found.page("superpose compare"))
    assert "Right answers of the questions with choices, with 95" in page
    assert "chance" in page
