"""Anonymous sums of a library, asked where they come from: whole, cut, baked, half from elsewhere.

The library is of 1,000: made adapters with checkpoints of runs, and some that PEFT trained. Every
answer is a line of a file, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import superpose
from benchmarks.library.made import Stock, gpt2_shapes, of_run, random_factors
from benchmarks.library.trained import LAYERS, write_base, write_trained
from benchmarks.measure import call
from superpose.adapter import Adapter, Delta
from superpose.library.opened import Library, open_library

__all__ = ["COUNT", "KINDS", "QUERIES", "ask_missing", "told_of", "verdict_of"]

COUNT, QUERIES = 1000, 200
KINDS = ("bfloat16", "compressed", "baked", "one from elsewhere")

_EXTRACTED = 80
"""Rank of what is taken out of a model: as much as five of the largest have."""


def ask_missing(folder: Path, count: int = COUNT, queries: int = QUERIES) -> None:
    """Ask every question of every kind that has no answer yet, all kinds by turns."""
    base = write_base(folder / "base")
    trained = write_trained(base, folder / "asked" / "trained")
    Stock(gpt2_shapes(LAYERS)).write(folder / "asked" / "made", count - len(trained))
    out = folder / "asked.index"
    superpose.index(folder / "asked", out)
    library = open_library(out)
    done = {kind: len(told_of(folder, kind)) for kind in KINDS}
    for query in range(queries):
        for kind in KINDS:
            if query >= done[kind]:
                line = _asked(library, query, kind, folder)
                with _file(folder, kind).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def told_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Give the answers of one kind that are there."""
    file = _file(folder, kind)
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def verdict_of(told: Mapping[str, float], truth: Mapping[str, float]) -> str:
    """Say whether the parents are those of the truth, and if not, in what way not."""
    missed, beside = truth.keys() - told.keys(), told.keys() - truth.keys()
    if not (missed or beside):
        return "right"
    if not beside:
        return "a parent missed"
    if not missed:
        return "one too many"
    kin = {of_run(name) for name in missed} == {of_run(name) for name in beside}
    return "another checkpoint of the same run" if kin else "another in a parent's place"


def _file(folder: Path, kind: str) -> Path:
    return folder / f"asked-{kind.replace(' ', '-')}.jsonl"


def _asked(library: Library, query: int, kind: str, folder: Path) -> dict[str, Any]:
    """Make one anonymous sum, ask where it is from, and give answer and truth."""
    rng = np.random.default_rng([query, KINDS.index(kind)])
    chosen = rng.choice(len(library.entries), int(rng.integers(2, 6)), replace=False)
    weights = rng.uniform(0.1, 1.5, len(chosen)) * rng.choice([-1.0, 1.0], len(chosen))
    truth = {library.names[int(at)]: float(w) for at, w in zip(chosen, weights, strict=True)}
    found: list[superpose.library.unmixed.Unmixed] = []
    if kind == "baked":
        baked, base = folder / "baked", folder / "base"
        shutil.rmtree(baked, ignore_errors=True)
        parts = [f"{library.entries[int(at)].given}:{w!r}" for at, w in
                 zip(chosen, map(float, weights), strict=True)]  # fmt: skip
        superpose.bake(base, parts, baked)
        options: dict[str, Any] = {"base": base, "rank": _EXTRACTED}
        spent = call(lambda: found.append(superpose.unmix(baked, library.path, **options)))
    else:
        target = _sum(library, chosen, weights, kind, rng)
        spent = call(lambda: found.append(superpose.unmix(target, library.path)))
    (answer,) = found
    return {
        "query": query,
        "truth": truth,
        "told": {one.name: one.weight for one in answer.parents},
        "inside": [
            one.weight_low <= truth.get(one.name, np.inf) <= one.weight_high
            for one in answer.parents
        ],
        "complete": answer.complete,
        "explained": answer.explained,
        "read": answer.read,
        "seconds": spent.seconds,
        "cpu": spent.cpu,
    }


def _sum(
    library: Library, chosen: np.ndarray, weights: np.ndarray, kind: str, rng: np.random.Generator
) -> Adapter:
    parts = [library.adapter(int(at)) for at in chosen]
    total = sum(float(w) * part for w, part in zip(weights, parts, strict=True))
    assert isinstance(total, Adapter)
    if kind == "compressed":
        total = total.compress(max(part.rank for part in parts))
    if kind == "one from elsewhere":
        strange = random_factors(rng, gpt2_shapes(LAYERS), 8)
        deltas = {name: Delta.of(*both) for name, both in strange.items()}
        total = total.on_base(None) + Adapter(deltas)
    return _rounded(total)


def _rounded(adapter: Adapter) -> Adapter:
    """Give an adapter as a bfloat16 file would hold it."""
    deltas = {}
    for name, delta in adapter.items():
        B = np.concatenate([t.coefficient * np.asarray(t.B, np.float32) for t in delta.terms], 1)
        A = np.concatenate([np.asarray(t.A, np.float32) for t in delta.terms])
        deltas[name] = Delta.of(B.astype("bfloat16"), A.astype("bfloat16"))
    return replace(Adapter(deltas, "anonymous"), base_model="gpt2")
