"""Verbs whose work is done by workers: the figures of one process, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

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


@pytest.mark.slow
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
