"""Timings that can be compared: interleaved runs, medians, ratios within one round."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Sample", "Timing", "call", "interleaved", "process", "ratio"]

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Sample:
    """One run: seconds of wall clock and of all cores, and a process's own peak memory in MB."""

    seconds: float
    cpu: float
    peak_mb: float | None = None


@dataclass(frozen=True)
class Timing:
    """All runs of one thing, in the order in which they were made."""

    samples: tuple[Sample, ...]

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def peak_mb(self) -> float | None:
        """Largest memory of any run."""
        peaks = [sample.peak_mb for sample in self.samples if sample.peak_mb is not None]
        return max(peaks) if peaks else None

    def to_json(self) -> dict[str, object]:
        """Median, spread and number of runs; peak memory where it was measured."""
        seconds = [sample.seconds for sample in self.samples]
        found: dict[str, object] = {
            "median_s": round(self.median, 5),
            "fastest_s": round(min(seconds), 5),
            "slowest_s": round(max(seconds), 5),
            "cpu_s": round(statistics.median(sample.cpu for sample in self.samples), 5),
            "runs": len(seconds),
        }
        return found if self.peak_mb is None else found | {"peak_mb": round(self.peak_mb, 1)}


def process(command: Sequence[object]) -> Sample:
    """Run a command in a process of its own. Raises RuntimeError with its words if it fails."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[:4]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return Sample(**json.loads(done.stdout))


def call(function: Callable[[], object]) -> Sample:
    """Time one call in this process."""
    started, cpu = time.perf_counter(), time.process_time()
    function()
    return Sample(time.perf_counter() - started, time.process_time() - cpu)


def interleaved(
    tasks: Mapping[str, Callable[[], Sample]], repeats: int, *, warmups: int = 1
) -> dict[str, Timing]:
    """Run every task once a round, `repeats` rounds, after `warmups` that are not counted.

    Whatever else the machine does hits all tasks of a round alike.
    """
    for _ in range(warmups):
        for task in tasks.values():
            task()
    rounds = [{name: task() for name, task in tasks.items()} for _ in range(repeats)]
    return {name: Timing(tuple(samples[name] for samples in rounds)) for name in tasks}


def ratio(above: Timing, below: Timing) -> float:
    """Median over the rounds of one thing's seconds by another's in the same round."""
    pairs = zip(above.samples, below.samples, strict=True)
    return statistics.median(over.seconds / under.seconds for over, under in pairs)
