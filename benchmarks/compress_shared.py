"""What one basis for several adapters saves on disk, and what it costs: of a run, of strangers.

All are made: eight checkpoints of one run, each the one before moved by a twentieth, and eight
adapters that have nothing in common. Errors are those of what is written, from the factors.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import superpose
from benchmarks.measure import Timing, call
from benchmarks.result import Result, Target
from superpose.adapter import Adapter, Delta
from superpose.lowrank.terms import Term
from superpose.verbs.compressed import Compressed

__all__ = ["measure"]

_QUESTION = (
    "How large are eight adapters of rank 8 in one basis that keeps 99 % of each one's energy, "
    "beside their own files, where they are checkpoints of one run and where they are strangers?"
)

_COUNT, _LAYERS, _WIDTH, _RANK, _STEP = 8, 6, 512, 8, 0.05


def measure(repeats: int = 3) -> Result:
    """Compress both sets, `repeats` times each."""
    timings, targets = {}, []
    with tempfile.TemporaryDirectory() as top:
        for kind in ("a run", "strangers"):
            folder = Path(top) / kind.replace(" ", "-")
            names = _written(folder, moving=kind == "a run")
            samples = [
                call(lambda f=folder, n=names, at=turn: superpose.compress(n, f / f"out-{at}"))
                for turn in range(repeats)
            ]
            timings[kind] = Timing(tuple(samples))
            targets += _figures(superpose.compress(names), kind, sum(map(_size, names)))
    return Result("compress_shared", _QUESTION, timings, tuple(targets))


def _figures(found: Compressed, kind: str, given: int) -> list[Target]:
    """Bytes over those that were given, and errors; what is bounded is the error that was asked."""
    shared, ordinary = found.bytes.shared / given, found.bytes.ordinary / given
    worst = max(one.error for one in found.adapters)
    alone = max(one.alone for one in found.adapters if one.alone is not None)
    return [
        Target(f"{kind}: bytes of the shared form over those of the adapters", shared),
        Target(f"{kind}: bytes of the ordinary adapters over those before", ordinary),
        Target(f"{kind}: largest relative error of an adapter", worst, "<=", 0.1005),
        Target(f"{kind}: that error with the same bytes spent on each alone", alone),
    ]


def _size(folder: str) -> int:
    return (Path(folder) / "adapter_model.safetensors").stat().st_size


def _written(folder: Path, *, moving: bool) -> list[str]:
    """Write one set, and give where its adapters lie. moving: each goes on from the last."""
    rng = np.random.default_rng(0)
    names, factors = [], _drawn(rng)
    for number in range(_COUNT):
        deltas = {
            f"model.layers.{layer}.self_attn.q_proj": Delta((Term(1.0, B, A),))
            for layer, (B, A) in enumerate(factors)
        }
        names.append(str(folder / f"adapter-{number}"))
        superpose.save(Adapter(deltas, f"adapter-{number}", "made"), names[-1])
        fresh = _drawn(rng)
        factors = [
            (B + _STEP * b, A + _STEP * a) if moving else (b, a)
            for (B, A), (b, a) in zip(factors, fresh, strict=True)
        ]
    return names


def _drawn(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Factors B (width, rank), A (rank, width) of every layer, float32."""
    return [
        (
            rng.standard_normal((_WIDTH, _RANK), np.float32),
            rng.standard_normal((_RANK, _WIDTH), np.float32),
        )
        for _ in range(_LAYERS)
    ]
