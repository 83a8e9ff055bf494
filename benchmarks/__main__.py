"""Run the benchmarks, all or those named, and write their results and README.md.

All of them, about a quarter of an hour of two cores: `python -m benchmarks`.
One, with fewer rounds: `python -m benchmarks check_process --repeats 3`.
README.md alone, from the results that lie here: `python -m benchmarks --readme`.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from benchmarks.result import RESULTS, tables

NAMES = (
    *("check_process", "add_process", "truncate", "tinyllama", "seven_b", "training", "evaluation"),
    *("calibration", "curvature", "bake", "demo", "verdict", "factor_space", "regression_seven_b"),
    "library",
    "compress_shared",
    "ray_cells",
)
README = Path(__file__).with_name("README.md")

_HEAD = """# Benchmarks

Made by `python -m benchmarks --readme` from the JSON in `results/`; no figure here is typed.

Each benchmark runs what it compares by turns, so that whatever else the machine does hits both;
a ratio is the median of the rounds' own ratios. Whole processes are timed from start to end, with
the peak memory that the kernel counts. Run them again with `make bench`.

How exact the sums are, beside other tools': [docs/exactness.md](../docs/exactness.md), made by
`python -m benchmarks.exactness`.

Who foretells interference: [docs/prediction.md](../docs/prediction.md), made by
`python -m benchmarks.prediction`.

Which merge method, and what regmean needs of the inputs: [docs/methods.md](../docs/methods.md),
made by `python -m benchmarks.methods`.

How often a forecast's intervals hold what was measured, right answers, norm-matched adapters and
the sign of dPPL: `python -m benchmarks.second`, on the same page.
"""


def main() -> None:
    """Run what was asked for; each result is written as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--repeats", type=int, help="rounds (each benchmark has its own number)")
    parser.add_argument("--readme", action="store_true", help="write README.md, measure nothing")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    options = {} if asked.repeats is None else {"repeats": asked.repeats}
    for name in () if asked.readme else asked.names or NAMES:
        result = importlib.import_module(f"benchmarks.{name}").measure(**options)
        result.write()
        README.write_text(readme())
        print(tables(result.to_json()), end="\n\n", flush=True)
    if asked.readme:
        README.write_text(readme())


def readme(folder: Path = RESULTS) -> str:
    """The page of all results that lie in the folder, in the benchmarks' order."""
    paths = [folder / f"{name}.json" for name in NAMES]
    records = [json.loads(path.read_text()) for path in paths if path.exists()]
    return "\n".join([_HEAD, *(tables(record) + "\n" for record in records)])


if __name__ == "__main__":
    main()
