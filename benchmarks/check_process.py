"""`superpose check` as a whole process, beside starting Python with its two libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.adapters import GPT2, write_adapters
from benchmarks.measure import interleaved, process, ratio
from benchmarks.result import Result, Target

__all__ = ["heavy_imports", "measure"]

_IMPORTS = [sys.executable, "-c", "import numpy, safetensors.numpy"]
_HEAVY = ("torch", "transformers", "peft", "pydantic", "huggingface_hub", "scipy")
"""typer imports pydantic from 0.29 on; constraints.txt pins one that does not."""


def measure(repeats: int = 11) -> Result:
    """Three GPT-2-Small-shaped adapters of rank 4 (36 modules each)."""
    with TemporaryDirectory() as folder:
        adapters = write_adapters(Path(folder), "abc", GPT2, layers=12, rank=4)
        command = [sys.executable, "-m", "superpose", "check", *adapters]
        timings = interleaved(
            {
                "superpose check A B C": lambda: process(command),
                "superpose check A B C --json": lambda: process([*command, "--json"]),
                "import numpy, safetensors.numpy": lambda: process(_IMPORTS),
            },
            repeats,
        )
        heavy = heavy_imports(adapters)
    table, as_json, imports = timings.values()
    peak = max(table.peak_mb or 0, as_json.peak_mb or 0)
    return Result(
        "check_process",
        "How long does `superpose check` take on three GPT-2-Small-shaped rank-4 adapters, from "
        "start to end of the process, beside importing NumPy and safetensors?",
        timings,
        (
            Target("check / imports, times", ratio(table, imports), "<=", 3),
            Target("check --json / imports, times", ratio(as_json, imports), "<=", 3),
            Target("peak memory, MB", peak, "<=", 100),
            Target("heavy libraries imported", len(heavy), "<=", 0),
        ),
    )


def heavy_imports(adapters: list[Path]) -> list[str]:
    """The heavy libraries that a check of these adapters has imported by its end."""
    code = (
        "import sys\n"
        "from superpose.cli.app import main\n"
        "try:\n"
        "    main(['check', *sys.argv[1:]])\n"
        "finally:\n"
        f"    print(*[name for name in {_HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, adapters)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.split()
