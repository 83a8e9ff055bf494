"""Run the benchmarks, all or those named, and write their records and docs/benchmarks.md.

All of them, about an hour of two cores: `python -m benchmarks`.
One, with fewer rounds: `python -m benchmarks check_process --repeats 3`.
docs/benchmarks.md alone, from the records that lie here: `python -m benchmarks --page`.
"""

from __future__ import annotations

import argparse
import importlib
import os
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.page import write_page
from benchmarks.result import tables

NAMES = (
    *("check_process", "add_process", "truncate", "tinyllama", "seven_b", "training", "evaluation"),
    *("calibration", "curvature", "bake", "demo", "verdict", "factor_space", "regression_seven_b"),
    "many",
    "library",
    "compress_shared",
    "ray_cells",
)


def main() -> None:
    """Run what was asked for; each record, and the page, is written as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--repeats", type=int, help="rounds (each benchmark has its own number)")
    parser.add_argument("--page", action="store_true", help="write the page, measure nothing")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    options = {} if asked.repeats is None else {"repeats": asked.repeats}
    begun = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    for name in () if asked.page else asked.names or NAMES:
        load = round(os.getloadavg()[0], 1)
        result = importlib.import_module(f"benchmarks.{name}").measure(**options)
        result = replace(result, begun=begun, load=load)
        result.write()
        write_page(NAMES)
        print(tables(result.to_json()), end="\n\n", flush=True)
    if asked.page:
        write_page(NAMES)


if __name__ == "__main__":
    main()
