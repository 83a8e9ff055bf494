"""`superpose bake` as a whole process, beside `cp` of the same files and the bare arithmetic."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import ml_dtypes
import numpy as np
from threadpoolctl import threadpool_limits

import superpose
from benchmarks.adapters import write_adapters
from benchmarks.measure import Sample, Timing, call, interleaved, process
from benchmarks.models import HIDDEN, VOCABULARY, llama_shapes, write_llama
from benchmarks.result import Result, Target
from superpose.baking import bake
from superpose.baking.blocks import BLOCK

__all__ = ["arithmetic", "measure", "within"]

RANK = 16
SMALL, LARGE = 8, 42
"""Decoder layers of a model of 1 GB and of one of 4 GB."""

_LARGEST = VOCABULARY * HIDDEN * 2 / 1e6
"""MB of the largest tensor, the embedding."""


def measure(repeats: int = 5) -> Result:
    """Three adapters of rank 16 on every linear layer of a bfloat16 model."""
    with TemporaryDirectory() as name:
        timings = _beside_cp(Path(name), repeats)
    _check_room()
    with TemporaryDirectory() as name:
        model = _Bake(Path(name), LARGE, shards=4)
        timings["superpose bake, 4 GB in 4 files"] = Timing((model.process(),))
    cp, synced, ours, whole, sums, large = timings.values()
    limit = 3 * _LARGEST + 200
    return Result(
        "bake",
        "How long does it take to bake three adapters of rank 16 on all linear layers into a model "
        "of 1 GB (bfloat16), beside `cp` of the same files and the bare arithmetic on blocks in "
        "memory; and how much memory? `bake` waits until the disk has it all; `cp` does not.",
        timings,
        (
            Target("bake / (2 cp + arithmetic)", within(ours, cp, sums), "<=", 1),
            Target("the whole process / (2 cp + arithmetic)", within(whole, cp, sums)),
            Target("the same, and cp waits for the disk too", within(whole, synced, sums), "<=", 1),
            Target("peak MB at 1 GB", whole.peak_mb or float("nan"), "<=", limit),
            Target("peak MB at 4 GB", large.peak_mb or float("nan"), "<=", limit),
        ),
    )


class _Bake:
    """A base model, three adapters, and the command that bakes them."""

    def __init__(self, folder: Path, layers: int, shards: int = 1) -> None:
        self.base = write_llama(folder / "base", layers, shards)
        self.out = folder / "out"
        self.copy = folder / "copy"
        options = {"layers": layers, "rank": RANK, "dtype": "bfloat16"}
        self.adapters = write_adapters(folder, "abc", llama_shapes(), **options)

    def process(self) -> Sample:
        """Bake into a new folder, from start to end of a process."""
        shutil.rmtree(self.out, ignore_errors=True)
        command = [sys.executable, "-m", "superpose", "bake", self.base, *self.adapters]
        return process([*command, "-o", self.out])

    def call(self) -> Sample:
        """Bake the adapters, loaded and added, into a new folder."""
        total = superpose.exact_sum([superpose.load(path) for path in self.adapters])
        shutil.rmtree(self.out, ignore_errors=True)
        with threadpool_limits(1):  # as the command does
            return call(lambda: bake(self.base, total, self.out))

    def cp(self, *, sync: bool) -> Sample:
        """Copy the base model's folder; sync: and wait until it is on the disk, as bake does."""
        shutil.rmtree(self.copy, ignore_errors=True)
        if not sync:
            return process(["cp", "-r", self.base, self.copy])
        return process(["sh", "-c", f"cp -r '{self.base}' '{self.copy}' && sync '{self.copy}'/*"])


def _beside_cp(folder: Path, repeats: int) -> dict[str, Timing]:
    model = _Bake(folder, SMALL)
    shapes = [shape for shape in llama_shapes().values() for _ in range(SMALL)]
    return interleaved(
        {
            "cp -r BASE COPY": lambda: model.cp(sync=False),
            "cp -r BASE COPY; sync COPY/*": lambda: model.cp(sync=True),
            "bake(BASE, A + B + C, OUT)": model.call,
            "superpose bake BASE A B C -o OUT": model.process,
            "W_0 + B A on blocks in memory": lambda: call(lambda: arithmetic(shapes)),
        },
        repeats,
    )


def arithmetic(shapes: Sequence[tuple[int, int]]) -> None:
    """What has to be computed and no more: widen, multiply, add, round; nothing read or written.

    shapes: of the weights that change.
    """
    with threadpool_limits(1):  # as bake does
        for rows, columns in shapes:
            _sum(rows, columns)


def _sum(rows: int, columns: int, rank: int = 3 * RANK) -> None:
    block = BLOCK // columns
    stored = np.full((block, columns), 0.02, ml_dtypes.bfloat16)
    wide, added = (np.empty((block, columns), np.float32) for _ in range(2))
    B = np.full((rows, rank), 0.01, np.float32)
    A = np.full((rank, columns), 0.01, np.float32)
    for begin in range(0, rows, block):
        size = min(block, rows - begin)
        np.copyto(wide[:size], stored[:size])
        np.matmul(B[begin : begin + size], A, out=added[:size])
        wide[:size] += added[:size]
        np.copyto(stored[:size], wide[:size], casting="unsafe")


def within(ours: Timing, cp: Timing, sums: Timing) -> float:
    """Median over the rounds of bake's seconds by twice cp's and the arithmetic's own."""
    rounds = zip(ours.samples, cp.samples, sums.samples, strict=True)
    return statistics.median(o.seconds / (2 * c.seconds + s.seconds) for o, c, s in rounds)


def _check_room(needed: float = 10e9) -> None:
    with TemporaryDirectory() as name:
        free = shutil.disk_usage(name).free
    if free < needed:
        raise SystemExit(
            f"the run at 4 GB needs {needed / 1e9:.0f} GB of disk, {free / 1e9:.1f} free"
        )
