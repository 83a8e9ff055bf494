"""`check` and `add` on adapters of a 7B model, beside moving the same bytes with safetensors."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.adapters import SEVEN_B, write_adapters
from benchmarks.measure import interleaved, process, ratio
from benchmarks.result import Result, Target

__all__ = ["measure"]

_READ = """
import sys
import ml_dtypes
from safetensors.numpy import load_file
read = [load_file(path) for path in sys.argv[1:]]
"""

# What is written has the size of the exact sum: every tensor of every adapter once.
_READ_AND_WRITE = """
import sys
import ml_dtypes
from safetensors.numpy import load_file, save_file
out, *paths = sys.argv[1:]
read = [load_file(path).items() for path in paths]
save_file({f"{k}.{name}": tensor for k, one in enumerate(read) for name, tensor in one}, out)
"""


def measure(repeats: int = 7, layers: int = 32) -> Result:
    """Three adapters, 224 modules each (q k v o gate up down), rank 16, bfloat16, 80 MB each."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        adapters = write_adapters(folder, "abc", SEVEN_B, layers=layers, rank=16, dtype="bfloat16")
        files = [path / "adapter_model.safetensors" for path in adapters]
        superpose = [sys.executable, "-m", "superpose"]
        add = [*superpose, "add", *adapters, "-o", folder / "sum", "--force"]
        copy = [sys.executable, "-c", _READ_AND_WRITE, folder / "copy.safetensors", *files]
        timings = interleaved(
            {
                "superpose check A B C": lambda: process([*superpose, "check", *adapters]),
                "safetensors: read": lambda: process([sys.executable, "-c", _READ, *files]),
                "superpose add A B C -o OUT": lambda: process(add),
                "safetensors: read and write": lambda: process(copy),
            },
            repeats,
        )
    check, read, added, copied = timings.values()
    return Result(
        "seven_b",
        "How long do `superpose check` and the exact `superpose add` take on three adapters of a "
        "7B model (32 layers, q k v o gate up down, rank 16, bfloat16, 80 MB each), as whole "
        "processes, beside reading and writing as many bytes with safetensors alone?",
        timings,
        (
            Target("check / reading, times", ratio(check, read), "<=", 3),
            Target("add / reading and writing, times", ratio(added, copied), "<=", 3),
        ),
    )
