"""Ten thousand small adapters, of which sketches alone choose what is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

import superpose
from benchmarks.library.made import Stock, of_run
from benchmarks.measure import call
from benchmarks.result import write_record
from superpose.library.dupes import Duplicates
from superpose.library.lineage import Lineage
from superpose.library.near import likeness_of
from superpose.library.opened import Library, open_library
from superpose.library.sketch import standard_error

__all__ = ["COUNT", "found_rightly", "sketch_missing"]

COUNT = 10_000
SHAPES = {f"transformer.h.{layer}.attn.c_attn": (192, 64) for layer in range(2)}
_PAIRS = 400
"""Unrelated pairs whose estimated cosine is held against the exact one."""


def sketch_missing(folder: Path, count: int = COUNT) -> None:
    """Index the ten thousand, ask, and leave `sketched.json`, unless it is there."""
    file, out = folder / "sketched.json", folder / "sketched.index"
    if file.exists():
        return
    stock = Stock(SHAPES, ranks=(2, 4), copied=25)
    names = stock.write(folder / "small", count)
    superpose.index(folder / "small", out)
    timings, told = {}, {}

    def keep(name: str, pairs: Iterable[tuple[str, str]], truth: set[frozenset[str]]) -> None:
        told[name] = found_rightly(pairs, truth)

    asked = names[:: max(1, len(names) // 10)][:10]
    near = [call(lambda name=name: superpose.near(name, out)) for name in asked]
    timings["dupes"] = call(lambda: keep("copies", _copies(superpose.dupes(out)), copies_of(names)))
    timings["lineage"] = call(lambda: keep("runs", _runs(superpose.lineage(out)), runs_of(names)))
    told["errors"] = _errors(open_library(out))
    told["timings"] = {name: [s.seconds, s.cpu] for name, s in timings.items()}
    told["near"] = [[s.seconds, s.cpu] for s in near]
    told["count"] = len(names)
    write_record(file, told)


def found_rightly(pairs: Iterable[tuple[str, str]], truth: set[frozenset[str]]) -> dict[str, int]:
    """Count pairs: that are there, that were found of these, and that were found beside them."""
    found = {frozenset(pair) for pair in pairs}
    return {"there": len(truth), "found": len(found & truth), "false": len(found - truth)}


def copies_of(names: Sequence[str]) -> set[frozenset[str]]:
    """Give the pairs of one and its copy, by their names."""
    return {frozenset((n.partition("-of-")[2], n)) for n in names if "-of-" in n}


def runs_of(names: Sequence[str]) -> set[frozenset[str]]:
    """Give the pairs of one run, copies of its checkpoints among them but for negated ones."""
    runs: dict[str, list[str]] = {}
    for name in (name for name in names if not name.startswith("scaled")):
        runs.setdefault(of_run(name.rpartition("-of-")[2]), []).append(name)
    return {frozenset(p) for run in runs.values() for p in itertools.combinations(run, 2)}


def _copies(found: Duplicates) -> Iterable[tuple[str, str]]:
    for group in found.groups:
        yield from itertools.combinations([group.keep, *(one.name for one in group.copies)], 2)


def _runs(found: Lineage) -> Iterable[tuple[str, str]]:
    for run in found.runs:
        yield from itertools.combinations([one.name for one in run.members], 2)


def _errors(library: Library) -> dict[str, float]:
    """Hold estimated cosines of pairs drawn at random against the exact ones."""
    rng = np.random.default_rng(7)
    off, stated = [], []
    for i, j in rng.integers(0, len(library.entries), (_PAIRS, 2)):
        if i != j:
            x, y = library.sketches[i], library.sketches[j]
            exact = likeness_of(library.adapter(int(i)), library.adapter(int(j)))[0]
            off.append(float(x @ y) - exact)
            stated.append(standard_error(x, y))
    errors, sizes = np.array(off), np.array(stated)
    return {
        "rms error over the stated": float(np.sqrt(np.mean(errors**2) / np.mean(sizes**2))),
        "within two stated": float(np.mean(np.abs(errors) <= 2.0 * sizes)),
    }
