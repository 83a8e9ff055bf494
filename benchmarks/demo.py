"""`superpose demo` as a whole process, after set-up: minutes, and memory."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import interleaved, process
from benchmarks.result import Result, Target
from superpose.model.base_model import load_base

__all__ = ["measure"]


def measure(repeats: int = 1) -> Result:
    """Each run trains and evaluates everything, into a folder of its own."""
    load_base("smollm2")  # set-up: the base is converted once a user, before the first demo
    with TemporaryDirectory() as folder:
        numbers = count()

        def run() -> list[object]:
            out = Path(folder, str(next(numbers)))
            return [sys.executable, "-m", "superpose", "demo", "--quiet", "--out", out]

        timings = interleaved({"superpose demo": lambda: process(run())}, repeats, warmups=0)
    (demo,) = timings.values()
    return Result(
        "demo",
        "How long does `superpose demo` take from start to end of the process, with the base "
        "model converted before, and how much memory?",
        timings,
        (
            Target("minutes", demo.median / 60, "<=", 8),
            Target("peak memory, MB", demo.peak_mb or 0.0, "<=", 4000),
        ),
    )
