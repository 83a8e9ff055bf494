"""The regression of RegMean and SSR on the layers of a 7B model: memory and seconds of algebra."""

from __future__ import annotations

import sys

from benchmarks.measure import interleaved, process
from benchmarks.result import Result, Target

__all__ = ["measure"]

# Three domains of 32 rows, as `superpose statistics` keeps them, and their adapters of rank 16. The
# second moments lie as sketches: nothing of d x d is formed.
_MERGE = """
import sys
import numpy as np
import superpose
from superpose.compose import FROM_DATA
from superpose.data.input_statistics import InputStatistics
from superpose.lowrank.second_moment import SecondMoment

rng, method, layers = np.random.default_rng(0), sys.argv[1], int(sys.argv[2])
WIDE, HIGH, RANK, KEPT = 4096, 11008, 16, int(sys.argv[3])
SHAPES = {"q": (WIDE, WIDE), "k": (WIDE, WIDE), "v": (WIDE, WIDE), "o": (WIDE, WIDE),
          "gate": (HIGH, WIDE), "up": (HIGH, WIDE), "down": (WIDE, HIGH)}
READS = {"q": 0, "k": 0, "v": 0, "o": 1, "gate": 2, "up": 2, "down": 3}
SIDES = (WIDE, WIDE, WIDE, HIGH)

def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)

def adapter(name):
    return superpose.Adapter({f"{n}.{m}": superpose.Delta.of(normal(o, RANK), normal(RANK, i))
                              for n in range(layers) for m, (o, i) in SHAPES.items()}, name, "b")

def statistics():
    moments = {}
    for n in range(layers):
        read = [SecondMoment(np.linalg.qr(normal(d, KEPT))[0], 100.0 * 0.9 ** np.arange(KEPT), 0.1)
                for d in SIDES]
        moments |= {f"{n}.{m}": read[at] for m, at in READS.items()}
    return InputStatistics(moments, "b", 32, 4096)

adapters = [adapter(name) for name in "abc"]
known = tuple(statistics() for _ in adapters)
if method != "nothing":
    superpose.merge(adapters, None, FROM_DATA[method](known))
"""

KEPT = 48


def measure(repeats: int = 3, layers: int = 32) -> Result:
    """Whole processes of two cores, with and without the merge."""
    timings = interleaved(
        {
            name: lambda name=name: process([sys.executable, "-c", _MERGE, name, layers, KEPT])
            for name in ("nothing", "regmean", "ssr")
        },
        repeats,
        warmups=0,
    )
    idle = timings["nothing"]
    targets = []
    for name in ("regmean", "ssr"):
        seconds = timings[name].median - idle.median
        more = (timings[name].peak_mb or 0.0) - (idle.peak_mb or 0.0)
        targets += [
            Target(f"{name}: seconds of algebra", seconds, "<=", 60),
            Target(f"{name}: memory beyond adapters and statistics, MB", more, "<=", 2000),
        ]
    return Result(
        "regression_seven_b",
        "How long does a merge by regression take on the layers of a 7B model (32 layers, q k v o "
        "gate up down, d = 4096 and 11008), three adapters of rank 16 with sketches of 48 "
        "directions, and how much memory beyond adapters and statistics themselves?",
        timings,
        tuple(targets),
    )
