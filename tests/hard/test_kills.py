"""Killed at a random moment, a command leaves the old output or the new, and the next run ends."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hard.conftest import SEED, TRIALS
from tests.hard.jobs import JOBS, Job, state_of
from tests.hard.killing import Runner, runner

if TYPE_CHECKING:
    from tests.hard.conftest import Counted

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGINT": signal.SIGINT}


def arguments(args: tuple[str, ...], inputs: Path, out: str) -> list[str]:
    """Put the places in a command's arguments."""
    return [out if arg == "OUT" else arg.replace("IN/", f"{inputs}/") for arg in args]


@pytest.mark.parametrize("name", JOBS)
def test_what_stands_after_a_kill_is_complete(
    name: str, inputs: Path, tmp_path: Path, counted: Counted
) -> None:
    job = JOBS[name]
    with runner(tmp_path, job.modules) as started:
        tried = Trials(job, inputs, tmp_path, started)
        found: Counter[str] = Counter()
        # The same moments whatever else is tried, and whoever tries.
        rng = random.Random(f"{SEED} {name}")
        for at in range(max(2, round(TRIALS * job.share))):
            of = list(SIGNALS)[at % 2]
            found += tried.one(tmp_path / f"trial-{at}", SIGNALS[of], rng.random())
    assert found["in the middle"] > 0, found
    counted(f"killed: {name}", **found)


class Trials:
    """Trials of one command, against what it leaves when nobody disturbs it."""

    def __init__(self, job: Job, inputs: Path, folder: Path, runner: Runner) -> None:
        self.job, self.inputs, self.runner = job, inputs, runner
        self.old = self._state(folder / "old", job.old) if job.old else None
        self.args = arguments(job.args, inputs, job.out)
        states, times = [], []
        for name in ("new", "again"):  # the first may wait for what it loads from the disk
            self._prepare(folder / name)
            first = runner.run(self.args, folder / name)
            assert first.code == 0, first.told
            states.append(state_of(folder / name / job.out))
            times.append(first.seconds)
        self.new, self.seconds = states[0], min(times)
        assert states[1] == self.new not in (None, self.old)

    def one(self, folder: Path, number: int, moment: float) -> Counter[str]:
        """Kill it at that share of its time, look, and let the next run end."""
        self._prepare(folder)
        args = self.args
        ended = self.runner.run(args, folder, moment * self.seconds, number)
        assert not ended.stuck
        state, left = state_of(folder / self.job.out), beside(folder, self.job.out)
        assert state in (self.old, self.new), (moment, ended, state)
        if number == signal.SIGINT:
            assert "Traceback" not in ended.told, (moment, ended.told)
            assert ended.code in (0, 130, -2), (moment, ended)
            assert left == [], (moment, left)
        again = self.runner.run(args, folder)
        done = state is not None and state == self.new and "--force" not in args
        assert again.code == 0 or (done and again.code == 2), (moment, again.told)
        assert state_of(folder / self.job.out) == self.new, moment
        assert beside(folder, self.job.out) == [], moment
        assert not left or "was ended" in again.told, again.told
        return Counter(
            {
                "trials": 1,
                "in the middle": int(ended.code != 0),
                "the new stood": int(state == self.new),
                "left beside, and removed": int(bool(left)),
            }
        )

    def _prepare(self, folder: Path) -> None:
        folder.mkdir()
        if self.job.old:
            self._state(folder, self.job.old)

    def _state(self, folder: Path, args: tuple[str, ...]) -> object:
        folder.mkdir(exist_ok=True)
        ended = self.runner.run(arguments(args, self.inputs, self.job.out), folder)
        assert ended.code == 0, ended.told
        return state_of(folder / self.job.out)


def beside(folder: Path, out: str) -> list[str]:
    """Give what stands in a trial's folder beside its output."""
    return [path.name for path in folder.iterdir() if path.name != out]
