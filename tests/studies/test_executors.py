"""The tiny study on every executor, workers and command killed: the same bytes, nothing twice.

A study's workers load torch, seconds each: `make test` has them do tasks that need nothing, and
`make test-hard` the study. A cluster of Ray takes a core for half a minute, and is there alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.ray_here import ray_cluster, ray_program
from tests.conftest import ROOT, write_questions
from tests.executor.slurm_here import missing, slurm_node
from tests.executor.work import bench_of, events, tasks_of
from tests.library.making import random_factors, write_factors

import superpose
from superpose.cli.app import main
from superpose.errors import BadInput
from superpose.executor import WorkRun, WorkStatus, work_off, work_status
from superpose.executor.claims import record_of
from superpose.model.carried import base_checksum
from superpose.studies.results import write_results
from superpose.studies.run import Study, study_in_worker
from superpose.studies.spec import load_spec

STUDY = """
name: tiny
base: {base}
domains:
  sums: {{data: sums.jsonl}}
  coins: {{data: coins.jsonl}}
train_rows: 16
test_rows: 8
calibration_rows: 4
merged: [epochs, steps]
seeds: [0, 1]
prompt: {{max_tokens: 64}}
lora: {{rank: 2, alpha: 8, dropout: 0, targets: [q_proj, down_proj]}}
training: {{epochs: 6, learning_rate: 0.02, batch_size: 8}}
"""

TIMED = re.compile(rb'"(seconds|training|evaluation|path|next)": ("[^"]*"|[0-9.e-]+)')
"""What a study writes of the clock, and of the folder that it lies in."""


@pytest.fixture(scope="module")
def file(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study's file, beside its questions."""
    folder = tmp_path_factory.mktemp("study")
    write_questions(folder)
    (folder / "study.yaml").write_text(STUDY.format(base=tiny_base))
    return folder / "study.yaml"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Give everything that is started here one thread: another number sums in another order."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")  # workers load tests.executor.work
        yield


@pytest.fixture(scope="module")
def undisturbed(file: Path) -> Path:
    """The folder of the study as one process left it, with as many threads as a worker has."""
    spec = load_spec(file)
    study = Study(spec, file.parent / "undisturbed", relative_to=file.parent)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        study.run()
    finally:
        torch.set_num_threads(threads)
    write_results(study.folder, spec, study.cells)
    return study.folder.path


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A cluster of two nodes."""
    if ray_program() is None:
        pytest.skip("ray is not installed: pip install 'superpose[ray]'")
    with ray_cluster() as address:
        yield address


@pytest.fixture
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[superpose.Execution]:
    """Two workers of a place that runs, and the environment that leads there."""
    kind, slurm = request.param, {"cluster": "local"}
    with ExitStack() as stack:
        if kind == "ray":
            monkeypatch.setenv("RAY_ADDRESS", request.getfixturevalue("ray_address"))
        elif kind != "local" and importlib.util.find_spec("submitit") is None:
            pytest.skip("submitit is not installed: pip install 'superpose[slurm]'")
        elif kind == "slurm":
            if reason := missing():
                pytest.skip(reason)
            config = stack.enter_context(slurm_node(tmp_path / "slurm"))
            monkeypatch.setenv("SLURM_CONF", str(config))
            slurm = {"time": "30"}
        if kind in ("local", "ray"):
            yield superpose.Execution(kind, workers=2)
        else:
            yield superpose.Execution("slurm", workers=2, slurm=slurm)


def _command(file: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "superpose", "study", str(file), "--out", str(out), "--quiet"]
    return subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _until(out: Path, reached: Callable[[WorkStatus], bool]) -> WorkStatus:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if (out / ".executor/newest").exists() and reached(status := work_status(out)):
            return status
        time.sleep(0.05)
    raise AssertionError("the study does not go on")


def _files(folder: Path) -> dict[str, bytes]:
    """Everything but the executor's own, without clock and folder."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            content = path.read_bytes()
            found[str(name)] = TIMED.sub(b"", content) if path.suffix == ".json" else content
    return found


def _times_begun(out: Path) -> dict[str, int]:
    run = WorkRun.newest(out)
    assert run is not None
    return {task.name: len(record_of(run, task).begun) for task in run.tasks}


def _done(out: Path) -> set[str]:
    run = WorkRun.newest(out)
    assert run is not None
    return {task.name for task in run.tasks if run.is_done(task)}


ELSEWHERE = [pytest.param("ray", marks=pytest.mark.hard), "submitit", "slurm"]


@pytest.mark.hard
@pytest.mark.parametrize("place", ["local", *ELSEWHERE], indirect=True)
def test_killed_workers_a_killed_command_and_two_at_once_leave_the_same_bytes(
    file: Path, undisturbed: Path, tmp_path: Path, place: superpose.Execution
) -> None:
    out, slurm = tmp_path / "run", [f"--slurm={key}={value}" for key, value in place.slurm.items()]
    with _command(file, out, "--workers=2", "--executor", place.executor, *slurm) as head:
        done, begun = _disturbed(head, file, out)
    superpose.study(file, out, place)  # as the command does, with what is loaded here already

    assert _files(out) == _files(undisturbed)
    times = _times_begun(out)
    assert {name: times[name] for name in done} == {name: begun[name] for name in done}
    assert sum(times.values()) <= len(times) + 3  # one killed worker, and two of the killed command
    assert not list(out.rglob("error-*"))


def _disturbed(
    head: subprocess.Popen[str], file: Path, out: Path
) -> tuple[set[str], dict[str, int]]:
    """Kill a worker, give the command once more, kill the command; give what is done by then."""
    status = _until(out, lambda found: found.done >= 2 and bool(found.at_work))
    os.kill(status.at_work[0].process, signal.SIGKILL)
    with pytest.raises(BadInput, match="another process is running this study"):
        superpose.study(file, out)
    _until(out, lambda found: found.done >= status.done + 3)
    head.kill()
    head.wait()  # Slurm's jobs go on
    done, begun = _done(out), _times_begun(out)
    assert status.done < len(done) < status.tasks
    return done, begun


@pytest.mark.slow
@pytest.mark.parametrize("place", ELSEWHERE, indirect=True)
def test_a_worker_elsewhere_that_is_killed_is_replaced_and_its_task_alone_is_begun_again(
    tmp_path: Path, place: superpose.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.executor == "ray":  # which aborts this process where what has just ended is cancelled
        monkeypatch.setattr("ray.cancel", lambda *_, **__: pytest.fail("a worker was cancelled"))
    work_off(tmp_path, tasks_of(6), bench_of(tmp_path, kill=2, pause=0.05), place)
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {f"{n}.txt": f"{n} squared is {n**2}" for n in range(6)}
    done = [(what, process) for what, process in events(tmp_path) if what != "open"]
    assert sorted(what for what, _ in done) == ["0", "1", "2", "2", "3", "4", "5"]
    assert len({process for what, process in done if what == "2"}) == 2
    assert str(os.getpid()) not in {process for _, process in done}


@pytest.mark.hard
def test_all_pairs_of_a_library_on_ray_are_those_of_one_process(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    monkeypatch.setattr("superpose.library.pairs.BLOCK_BYTES", 7_000)  # two adapters
    for number in range(6):
        write_factors(tmp_path / "all" / f"a{number}", random_factors(number))
    superpose.index(tmp_path / "all", tmp_path / "i")
    right = superpose.check(index=tmp_path / "i")
    files = {path.name for path in (tmp_path / "i" / "pairs").iterdir()}
    assert len(files) == 6
    shutil.rmtree(tmp_path / "i" / "pairs")
    on_ray = superpose.Execution("ray", workers=2)
    assert superpose.check(index=tmp_path / "i", execution=on_ray).to_json() == right.to_json()
    assert {path.name for path in (tmp_path / "i" / "pairs").iterdir()} == files
    assert work_status(tmp_path / "i").executor == "ray"


def test_a_command_that_cannot_reach_ray_or_slurm_says_what_to_start(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = tmp_path / "ray" / "ray_current_cluster"  # as a cluster leaves it that was killed
    gone.parent.mkdir()
    gone.write_text("127.0.0.1:1")
    nowhere = {"RAY_ADDRESS": "", "RAY_TMPDIR": tmp_path, "SLURM_CONF": tmp_path / "no"}
    for name, value in nowhere.items():
        monkeypatch.setenv(name, str(value))
    for name, way_out in {
        "ray": r"Start one with `ray start --head`|superpose\[ray\]",
        "slurm": r"munged, slurmctld and slurmd|superpose\[slurm\]",
    }.items():
        out = tmp_path / f"run-{name}"
        with pytest.raises(SystemExit) as end:
            main(["study", str(file), "--out", str(out), "--quiet", "--executor", name])
        said = capsys.readouterr().err
        assert end.value.code == 3, said
        assert re.search(way_out, said)


def test_a_worker_with_other_rows_or_another_base_is_refused(file: Path, tmp_path: Path) -> None:
    spec = load_spec(file)
    study = Study(spec, tmp_path / "run", relative_to=file.parent)
    study.folder.claim(study.identity())
    checksum = base_checksum(study.base)
    place: dict[str, Any] = {"folder": tmp_path / "run", "relative_to": file.parent}
    with study_in_worker(spec, **place, base=checksum):
        pass
    weight = study.base.model.get_input_embeddings().weight
    before = weight[3, 5].item()
    try:
        weight.data[3, 5] = before + 1e-6
        with (
            pytest.raises(BadInput, match="this worker's base model has other weights"),
            study_in_worker(spec, **place, base=checksum),
        ):
            pass
    finally:
        weight.data[3, 5] = before
    other = write_questions(tmp_path)["sums"]
    other.write_text(other.read_text().replace(" = ", " is "))
    with (
        pytest.raises(BadInput, match=r"it differs in .*data\.sums"),
        study_in_worker(spec, tmp_path / "run", tmp_path, checksum),
    ):
        pass
