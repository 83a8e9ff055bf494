"""A library of made adapters of GPT-2 shape: how long index, pairs, near and unmix take, how right.

The library is made in a temporary folder: ranks 4, 8 and 16, every third adapter with three
checkpoints that went on from it, one copy among fifty. Floors are what nobody can do without: to
read and hash the files, and the pairs' matrix products at the speed that this machine shows for
one large product of that type. `python -m benchmarks library` takes minutes; fewer adapters:
`measure(count=125)`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import superpose
from benchmarks.library_made import merged, write_library
from benchmarks.measure import Sample, Timing, call
from benchmarks.result import Result, Target
from superpose.library.finding import content_of
from superpose.library.opened import Library, open_library
from superpose.library.pairs import all_pairs

__all__ = ["measure"]

_QUESTION = (
    "How long do index and all pairs of a library of made GPT-2 adapters take beside their floors, "
    "and how often are the parents of anonymous sums found?"
)


def measure(repeats: int = 1, count: int = 125, queries: int = 20) -> Result:
    """Measure a library of `count` adapters once, whatever `repeats` says: it takes minutes."""
    with tempfile.TemporaryDirectory() as folder:
        top, out = Path(folder, "adapters"), Path(folder, "library.index")
        names = write_library(top, count)
        timings = {
            "read and hash the files": _timed(lambda: [content_of(top / n) for n in names]),
            "index": _timed(lambda: superpose.index(top, out)),
        }
        write_library(top / "more", 1, seed=1)
        timings["index again, one new"] = _timed(lambda: superpose.index([], out))
        library = open_library(out)
        timings["all pairs"] = _timed(lambda: _pairs(library))
        timings["all pairs, from their files"] = _timed(lambda: _pairs(library))
        timings["near"] = _timed(lambda: superpose.near(names[0], out))
        timings["dupes"] = _timed(lambda: superpose.dupes(out))
        targets = [
            Target("adapters", count),
            Target("index over reading and hashing",
                   timings["index"].median / timings["read and hash the files"].median),
            Target("all pairs over their products at this machine's speed",
                   timings["all pairs"].median / _products(library), "<=", 3.0),
            *_unmixed(library, out, queries, timings),
        ]  # fmt: skip
    return Result("library", _QUESTION, timings, tuple(targets))


def _timed(task: Callable[[], object]) -> Timing:
    return Timing((call(task),))


def _pairs(library: Library) -> None:
    for base in library.bases:
        all_pairs(library, base)


def _products(library: Library) -> float:
    """Seconds that the pairs' products take at the speed of one large float32 product."""
    x = np.ones((2048, 2048), np.float32)
    x @ x
    started = time.perf_counter()
    x @ x
    speed = 2 * 2048**3 / (time.perf_counter() - started)
    rows = sum(entry.rank for entry in library.entries)
    (skeleton,) = library.groups.skeletons.values()
    sides = sum(sum(delta.shape) for delta in skeleton.values())
    return rows * rows * sides / speed


def _unmixed(
    library: Library, out: Path, queries: int, timings: dict[str, Timing]
) -> Sequence[Target]:
    targets = []
    for kind, least in (("bfloat16", 0.99), ("compressed", 0.90), ("one from elsewhere", 0.95)):
        right, errors, samples = 0, [0.0], []
        for query in range(queries):
            target, weights = merged(library, query, kind)
            started, cpu = time.perf_counter(), time.process_time()
            found = superpose.unmix(target, out)
            samples.append(Sample(time.perf_counter() - started, time.process_time() - cpu))
            told = {parent.name: parent.weight for parent in found.parents}
            if kind == "one from elsewhere":
                right += not found.complete
            elif told.keys() == weights.keys():
                right += 1
                errors.append(max(abs(told[name] - weights[name]) for name in told))
        timings[f"unmix, {kind}"] = Timing(tuple(samples))
        what = "recognised" if kind == "one from elsewhere" else "parents right"
        targets.append(
            Target(f"{kind}: {what}, a share of {queries}", right / queries, ">=", least)
        )
        if what == "parents right":
            targets.append(Target(f"{kind}: largest error of a weight", max(errors), "<=", 1e-3))
    return targets
