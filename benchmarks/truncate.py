"""Best rank-8 approximation from the factors, beside the dense SVD of the formed delta."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.adapters import GPT2, write_adapters
from benchmarks.measure import call, interleaved, ratio
from benchmarks.result import Result, Target

__all__ = ["distance", "excess_error", "measure"]

RANK = 8


def measure(repeats: int = 7) -> Result:
    """One layer of GPT-2 Small (each of its three shapes), the sum of three rank-4 adapters."""
    from superpose import load
    from superpose.compose import BestRank
    from superpose.lowrank import dense

    with TemporaryDirectory() as folder:
        paths = write_adapters(Path(folder), "abc", GPT2, layers=1, rank=4)
        first, *others = map(load, paths)
        total = sum(others, start=first)
        deltas = {name: np.asarray(dense(delta.terms)) for name, delta in total.items()}
        timings = interleaved(
            {
                "from the factors": lambda: call(lambda: BestRank(RANK).of(total)),
                "dense SVD": lambda: call(lambda: [_dense(each) for each in deltas.values()]),
            },
            repeats,
        )
        small = BestRank(RANK).of(total)
        pairs = [(dense(small[name].terms), delta) for name, delta in deltas.items()]
    factors, svd = timings.values()
    return Result(
        "truncate",
        f"How much quicker is `--rank {RANK}` than the dense SVD on GPT-2 Small's three shapes "
        "(2304 x 768, 768 x 768, 768 x 3072; a sum of three rank-4 adapters, float32)?",
        timings,
        (
            Target("dense SVD / from the factors, times", ratio(svd, factors), ">=", 100),
            Target(
                "error above the dense optimum, relative",
                max(excess_error(*pair) for pair in pairs),
                "<=",
                1e-5,
            ),
            Target(
                "distance from the dense optimum, relative",
                max(distance(*pair) for pair in pairs),
                "<=",
                1e-5,
            ),
        ),
    )


def excess_error(approximation: np.ndarray, delta: np.ndarray, rank: int = RANK) -> float:
    """|delta - approximation| by the least error of that rank, less one; in float64."""
    exact = delta.astype(np.float64)
    tail = np.linalg.svd(exact, compute_uv=False)[rank:]
    least = np.sqrt((tail**2).sum())
    return float(np.linalg.norm(exact - approximation) / least - 1)


def distance(approximation: np.ndarray, delta: np.ndarray) -> float:
    """|approximation - best| / |best|, where best is the dense SVD's, in float64."""
    best = _dense(delta.astype(np.float64))
    return float(np.linalg.norm(approximation - best) / np.linalg.norm(best))


def _dense(delta: np.ndarray) -> np.ndarray:
    U, s, Vt = np.linalg.svd(delta, full_matrices=False)
    return np.asarray((U[:, :RANK] * s[:RANK]) @ Vt[:RANK])
