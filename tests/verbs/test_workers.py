"""Verbs whose work is done by workers: the figures of one process, whoever is killed meanwhile."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import superpose
from superpose import Comparing, Execution
from superpose.cli.app import main
from superpose.errors import BadInput, BadSetting
from superpose.executor import WorkStatus, work_status

pytestmark = pytest.mark.usefixtures("here")

TWO = Execution(workers=2, cpus_per_task=1)
FEW = Comparing(rows=4, test_rows=5, passes=3, max_tokens=80)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many as a worker has here: another number sums in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def asked(tiny_base: Path, question_files: dict[str, Path]) -> tuple[Any, ...]:
    """Base, adapters, data."""
    return tiny_base, ["sums", "coins"], list(question_files.values())


@contextmanager
def a_worker_killed(folder: Path) -> Iterator[list[WorkStatus]]:
    """Kill the first worker that is at a task once another task is done; gives what was seen."""
    seen: list[WorkStatus] = []

    def kill() -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until and not seen:
            time.sleep(0.02)
            if not (folder / ".executor/newest").exists():
                continue
            found = work_status(folder)
            if found.done and found.at_work:
                os.kill(found.at_work[0].process, signal.SIGKILL)
                seen.append(found)

    watch = threading.Thread(target=kill)
    watch.start()
    yield seen
    watch.join()


def _standings(found: Any) -> list[Any]:
    timed = ("seconds", "merging")
    known = [*found.references, *(each.standing for each in found.ranked)]
    return [{k: v for k, v in one.to_json().items() if k not in timed} for one in known]


@pytest.mark.hard
def test_a_comparison_by_workers_one_of_them_killed_has_the_figures_of_one_process(
    asked: tuple[Any, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how: dict[str, Any] = {"methods": ("regmean", "ties"), "questions": FEW}
    alone = superpose.compare(*asked, **how)
    out = tmp_path / "kept"
    told: list[tuple[float, float | None, str]] = []
    with a_worker_killed(out) as seen:
        found = superpose.compare(
            *asked, **how, out=out, execution=TWO, progress=lambda *t: told.append(t)
        )
    assert _standings(found) == _standings(alone)
    assert told[-1][0] == pytest.approx(told[-1][1])
    assert seen[0].watched
    assert seen[0].seconds_left is not None
    assert not list(out.rglob("work.pickle")), "what workers load is gone with them"
    words = ["compare", *map(str, (asked[0], *asked[1])), "-d", "any", "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        main([*words, "--status"])
    assert not end.value.code
    assert f"{out}: 6 of 6 tasks are done (100%)" in capsys.readouterr().out
    other = Comparing(rows=4, test_rows=5, passes=4, max_tokens=80)
    with pytest.raises(BadInput, match="another comparison; it differs in passes"):
        superpose.compare(*asked, methods=("ties",), questions=other, out=out, execution=TWO)


ROWS = superpose.Calibration(rows=6, max_tokens=80)


def _choosing(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with choices: the right one, and the next row's."""
    others = [row["answer"] for row in rows[1:] + rows[:1]]
    return [
        {**row, "choices": [row["answer"], *([other] if other != row["answer"] else [])]}
        for row, other in zip(rows, others, strict=True)
    ]


@pytest.fixture
def choosing(question_files: dict[str, Path]) -> tuple[dict[str, Any], list[Any]]:
    """Calibration rows and test rows with choices, by domain."""
    rows = {
        name: _choosing([json.loads(line) for line in path.read_text().splitlines()])
        for name, path in question_files.items()
    }
    return {n: r[:-4] for n, r in rows.items()}, [r[-4:] for r in rows.values()]


def _predict(asked: tuple[Any, ...], choosing: tuple[Any, Any], **how: Any) -> Any:
    found = superpose.predict(*asked[:2], *choosing, ROWS, **how)
    return _without_seconds(found.to_json())


def _tune(asked: tuple[Any, ...], choosing: tuple[Any, Any], **how: Any) -> Any:
    goal = superpose.Goal(objective="worst", by="layer")
    rows = superpose.Calibration(rows=8, max_tokens=80)
    return superpose.tune(*asked[:2], choosing[0], goal, rows, **how).to_json()


def _without_seconds(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: _without_seconds(v) for k, v in found.items() if k != "seconds"}
    return [_without_seconds(each) for each in found] if isinstance(found, list) else found


def _measured(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.glob("measured/*.npz")}


@pytest.mark.parametrize("plan", ["measure", "forecast"])
def test_a_prediction_in_a_folder_goes_on_there_and_has_the_figures_of_one_without(
    plan: str, asked: tuple[Any, ...], choosing: tuple[Any, Any], tmp_path: Path
) -> None:
    alone = _predict(asked, choosing, plan=plan)
    out = tmp_path / "kept"
    assert _predict(asked, choosing, plan=plan, out=out) == alone
    before = _measured(out)
    status = work_status(out)
    assert status.done == status.tasks == len(before)
    gone = sorted(before)[::3]
    for path in gone:
        Path(path).unlink()
    assert _predict(asked, choosing, plan=plan, out=out) == alone
    after = _measured(out)
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == set(gone)


def test_what_was_measured_serves_other_questions_and_other_rows_are_refused(
    asked: tuple[Any, ...], choosing: tuple[Any, Any], tmp_path: Path
) -> None:
    out = tmp_path / "kept"
    rows = superpose.Calibration(rows=8, max_tokens=80)
    superpose.predict(*asked[:2], choosing[0], (), rows, plan="forecast", out=out)
    before = _measured(out)
    superpose.predict(*asked[:2], choosing[0], (), rows, weights=[(0.3, 0.7)], out=out)
    asked_about = _measured(out)
    new = len(asked_about) - len(before)
    assert new == 2 * 2 * 2, "losses and choices of both domains, there and of its own alone"
    assert _tune(asked, choosing, out=out) == _tune(asked, choosing)
    tuned = _measured(out)
    assert asked_about.items() <= tuned.items(), "nothing is measured again"
    for changed in ({"rows": 5}, {"seed": 1}, {"template": "{question}"}):
        questions = dataclasses.replace(rows, **changed)
        with pytest.raises(BadInput, match="another calibration; it differs in rows"):
            superpose.predict(*asked[:2], choosing[0], (), questions, out=out)
    with pytest.raises(BadInput, match="another calibration; it differs in adapters"):
        superpose.tune(asked[0], ["coins", "sums"], choosing[0], questions=rows, out=out)
    sums = superpose.load("sums")
    turned = dataclasses.replace(-sums, name=sums.name, base_model=sums.base_model)
    assert turned.norm() == sums.norm()
    with pytest.raises(BadInput, match="another calibration; it differs in adapters"):
        superpose.predict(asked[0], [turned, "coins"], choosing[0], (), rows, out=out)
    for path in tuned:
        Path(path).write_bytes(b"PK")
    with pytest.raises(BadInput, match="this file of the calibration cannot be read"):
        superpose.predict(*asked[:2], choosing[0], (), rows, plan="forecast", out=out)


def test_a_base_is_known_by_its_weights_whatever_its_folder_is_called(
    asked: tuple[Any, ...], tmp_path: Path
) -> None:
    """Moved it is the same; trained on under its old name it is another one."""
    base, adapters, data = asked
    first = shutil.copytree(base, tmp_path / "base")
    out, records = tmp_path / "kept", tmp_path / "compared"
    rows = superpose.Calibration(rows=4, max_tokens=80)
    whole = superpose.predict(first, adapters, data, (), rows, same_base=True, out=out)
    some = superpose.compare(first, adapters, data, (), ["sum"], FEW, same_base=True, out=records)
    moved = first.rename(tmp_path / "moved")
    again = superpose.predict(moved, adapters, data, (), rows, same_base=True, out=out)
    assert again.forecast.to_json() == whole.forecast.to_json()
    superpose.compare(moved, adapters, data, (), ["sum"], FEW, same_base=True, out=records)
    tensors = load_file(moved / "model.safetensors")
    name = next(n for n in tensors if n.endswith("q_proj.weight"))
    save_file({**tensors, name: 1.5 * tensors[name]}, moved / "model.safetensors", {"format": "pt"})
    moved.rename(first)
    with pytest.raises(BadInput, match="another calibration; it differs in base"):
        superpose.predict(first, adapters, data, (), rows, same_base=True, out=out)
    with pytest.raises(BadInput, match="another comparison; it differs in base"):
        superpose.compare(first, adapters, data, (), ["sum"], FEW, same_base=True, out=records)
    assert some.base.endswith("base")


@pytest.mark.slow
@pytest.mark.parametrize("verb", [_predict, pytest.param(_tune, marks=pytest.mark.hard)])
def test_workers_find_to_the_bit_what_one_process_does(
    verb: Callable[..., Any], asked: tuple[Any, ...], choosing: tuple[Any, Any]
) -> None:
    worker = Execution(workers=1, cpus_per_task=1)
    assert not worker.in_process
    assert verb(asked, choosing, execution=worker) == verb(asked, choosing)


def test_workers_elsewhere_need_a_folder_and_so_does_the_status(
    asked: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadSetting, match="workers of ray share a folder") as caught:
        superpose.compare(*asked, execution=Execution(executor="ray"))
    assert caught.value.where == "out"
    for words, said in {
        ("--executor", "slurm"): "--out: workers of slurm share a folder",
        ("--status",): "--status: how far it is stands in its folder",
    }.items():
        with pytest.raises(SystemExit) as end:
            main(["compare", str(asked[0]), "sums", "coins", "-d", "a", "-d", "b", *words])
        assert end.value.code == 2
        assert said in capsys.readouterr().err
