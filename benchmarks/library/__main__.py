"""The benchmark of libraries, step by step.

    python -m benchmarks.library speed --out runs/library     # 125 to 1,000: index, all pairs
    python -m benchmarks.library sketched --out runs/library  # 10,000: neighbours, copies, runs
    python -m benchmarks.library unmix --out runs/library     # 200 anonymous sums of each kind
    python -m benchmarks.library judge --out runs/library     # the record, the pages

Every step goes on where it was stopped, and judging takes what is there; what is not stays as the
record has it, so that one part can be measured anew. `python -m benchmarks
library` does them all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.__main__ import NAMES
from benchmarks.library.judging import FOLDER, judged
from benchmarks.library.queries import ask_missing
from benchmarks.library.sketched import sketch_missing
from benchmarks.library.speed import time_missing, time_one
from benchmarks.library.told import COMMAND, PAGE, block
from benchmarks.page import write_page
from benchmarks.readme import write_block
from benchmarks.result import RESULTS, tables

STEPS: Mapping[str, Callable[[Path], object]] = {
    "speed": time_missing,
    "sketched": sketch_missing,
    "unmix": ask_missing,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library")
    parser.add_argument("step", choices=(*STEPS, "judge", "time"))
    parser.add_argument("--out", type=Path, default=FOLDER, help="its folder")
    parser.add_argument("--count", type=int, help="of `time`, which `speed` runs: adapters")
    asked = parser.parse_args(arguments)
    if asked.step == "judge":
        result = judged(asked.out, RESULTS / "library.json")
        result.write()
        write_page(NAMES)
        write_block(COMMAND, block(), PAGE)
        print(tables(result.to_json()))
    elif asked.step == "time":
        time_one(asked.out, asked.count)
    else:
        STEPS[asked.step](asked.out)


if __name__ == "__main__":
    main()
