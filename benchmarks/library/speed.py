"""How long an index and all pairs take, beside what nobody can do without.

Floors, in the same run: to read and hash the files, and the pairs' matrix products at the speed
that this machine shows for one large product of that type. What is compared are seconds of all
cores, which what else the machine does changes less than it changes the clock on the wall.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import superpose
from benchmarks.library.made import Stock, gpt2_shapes
from benchmarks.measure import Sample, call, process
from benchmarks.result import write_record
from superpose.library.finding import content_of
from superpose.library.opened import Library, open_library
from superpose.library.pairs import all_pairs

__all__ = ["COUNTS", "LAYERS", "time_missing", "time_one"]

COUNTS = (125, 250, 500, 1000)
LAYERS = 12


def time_missing(folder: Path) -> None:
    """Time every count that has not been timed, each in a process of its own."""
    for count in COUNTS:
        file = folder / f"speed-{count}.json"
        if not file.exists():
            Stock(gpt2_shapes(LAYERS)).write(folder / "made", max(COUNTS))
            program = [sys.executable, "-m", "benchmarks.library", "time"]
            whole = process([*program, "--out", folder, "--count", count])
            told = json.loads((folder / "timed.json").read_text())
            write_record(file, told | {"peak_mb": whole.peak_mb})


def time_one(folder: Path, count: int) -> None:
    """Time a library of the first `count` adapters, and leave it in `timed.json`."""
    top, out = folder / "made", folder / f"timed-{count}.index"
    names = Stock(gpt2_shapes(LAYERS)).write(top, max(COUNTS))[:count]
    shutil.rmtree(out, ignore_errors=True)
    paths = [top / name for name in names]
    superpose.load(paths[0])
    timings = {
        "read and hash the files": call(lambda: [content_of(path) for path in paths]),
        "index": call(lambda: superpose.index(paths, out)),
    }
    Stock(gpt2_shapes(LAYERS), seed=1).write(folder / "more", 1)
    timings["index again, one new"] = call(lambda: superpose.index(folder / "more", out))
    library = open_library(out)
    timings["the pairs' products at full speed"] = _products(library)
    timings["all pairs"] = call(_pairs(library))
    timings["all pairs, from their files"] = call(_pairs(library))
    timings["near"] = call(lambda: superpose.near(paths[0], out))
    told = {name: [sample.seconds, sample.cpu] for name, sample in timings.items()}
    write_record(folder / "timed.json", {"timings": told})


def _pairs(library: Library) -> Callable[[], object]:
    return lambda: [all_pairs(library, base) for base in library.bases]


def _products(library: Library) -> Sample:
    """Give what the pairs' products take at the speed of one large float32 product."""
    x = np.ones((2048, 2048), np.float32)
    x @ x
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(3):
        x @ x
    one = 3 * 2 * 2048**3
    rows = sum(entry.rank for entry in library.entries)
    (skeleton,) = library.groups.skeletons.values()
    work = rows * rows * sum(sum(delta.shape) for delta in skeleton.values()) / one
    return Sample((time.perf_counter() - started) * work, (time.process_time() - cpu) * work)
