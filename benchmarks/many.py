"""Growth: `superpose check`, `add` and `diff` of 2, 10, 50 and 200 adapters as whole processes."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.adapters import GPT2, write_adapter
from benchmarks.measure import Timing, interleaved, process
from benchmarks.result import Result, Target

__all__ = ["measure"]

SIZES = (2, 10, 50, 200)

_READ = [
    sys.executable,
    "-c",
    "import sys; from pathlib import Path; from safetensors.numpy import load_file; "
    "held = [load_file(Path(path) / 'adapter_model.safetensors') for path in sys.argv[1:]]",
]
"""All that a sum is made of, held at once as NumPy holds it."""

_SUPERPOSE = [sys.executable, "-m", "superpose"]


def measure(repeats: int = 3) -> Result:
    """GPT-2-Small-shaped adapters of rank 4, 36 modules and 1.6 MB each; pairs grow by K^2."""
    timings: dict[str, Timing] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        adapters = [
            write_adapter(folder / f"a{seed:03d}", GPT2, layers=12, rank=4, seed=seed)
            for seed in range(max(SIZES))
        ]
        for count in SIZES:
            some, out = adapters[:count], folder / "sum"
            add = [*_SUPERPOSE, "add", "--quiet", *some, "-o", out, "--force"]
            commands = {
                "read the files": [*_READ, *some],
                "check": [*_SUPERPOSE, "check", *some],
                "check --json": [*_SUPERPOSE, "check", "--json", *some],
                "add": add,
            }
            if count == min(SIZES):
                commands["diff"] = [*_SUPERPOSE, "diff", some[0], some[0]]
            tasks = {
                f"{count}: {what}": (lambda command=command: process(command))
                for what, command in commands.items()
            }
            timings |= interleaved(tasks, repeats, warmups=int(count == min(SIZES)))
    return Result(
        "many",
        "How do time and memory of `superpose check`, `add` and `diff` grow with the number of "
        "adapters (GPT-2 Small's shape, rank 4), beside reading their files into memory?",
        timings,
        tuple(_targets(timings)),
    )


def _targets(timings: dict[str, Timing]) -> list[Target]:
    """Time by time and memory by memory of reading; of 200, what is promised."""
    found = []
    for name, timing in timings.items():
        count, _, _ = name.partition(": ")
        read = timings[f"{count}: read the files"]
        if timing is read:
            continue
        found.append(Target(f"{name} / reading, CPU", _cpu(timing) / _cpu(read)))
        most = 2.5 if int(count) == max(SIZES) else None
        sense = None if most is None else "<="
        peaks = (timing.peak_mb or 0.0) / (read.peak_mb or 1.0)
        found.append(Target(f"{name} / reading, peak memory", peaks, sense, most))
    few, many = (timings[f"{count}: check"].peak_mb or 0.0 for count in (SIZES[2], SIZES[3]))
    pairs = [count * (count - 1) / 2 for count in SIZES[2:]]
    read = [timings[f"{count}: read the files"].peak_mb or 0.0 for count in SIZES[2:]]
    grown = ((many - read[1]) - (few - read[0])) / (pairs[1] - pairs[0])
    what = "check: kB of memory beside the files for one more pair"
    found.append(Target(what, grown * 1e3, "<=", 10))
    return found


def _cpu(timing: Timing) -> float:
    return float(timing.to_json()["cpu_s"])  # type: ignore[arg-type]
