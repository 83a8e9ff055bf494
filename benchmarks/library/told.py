"""The block of docs/how-to/library.md that tells how rightly and how long, from the records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.library import queries, speed
from benchmarks.result import RESULTS

__all__ = ["COMMAND", "PAGE", "block"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "library.md"
COMMAND = "python -m benchmarks.library"

_KINDS = {
    "bfloat16": "in bfloat16",
    "compressed": "cut to the largest parent's rank, in bfloat16",
    "baked": "baked into a bfloat16 model, extracted with its base",
    "one from elsewhere": "with one parent that is not in the library",
}


def block(results: Path = RESULTS) -> str:
    """Give the block, of the records `library.json` and `ray_cells.json` in a folder."""
    targets: dict[str, Any] = {}
    for name in ("library", "ray_cells"):
        for one in json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["targets"]:
            targets[one["what"]] = _worse(targets.get(one["what"], one), one)
    return "\n".join([*_unmix(targets), "", *_speed(targets)])


def _worse(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the worse of two figures of one name, as copies and runs have them."""
    ends = sorted((one, other), key=lambda each: float(each["value"]))
    return ends[0] if one["sense"] == ">=" else ends[-1]


def _unmix(targets: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Of {queries.QUERIES} anonymous sums of each kind (2 to 5 parents, weights within ±1.5, a "
        f"library of {queries.COUNT:,} with checkpoints of runs and adapters that PEFT trained):"
    )
    yield ""
    yield "| sums | right | asked for | not right | a weight off by at most | CPU s |"
    yield "| --- | ---: | ---: | --- | ---: | ---: |"
    for kind, said in _KINDS.items():
        own = {what.removeprefix(f"{kind}: "): one for what, one in targets.items()
               if what.startswith(f"{kind}: ")}  # fmt: skip
        right = next(one for what, one in own.items() if one["sense"] == ">=")
        wrong = [f"{what.removesuffix(', sums')} in {one['value']:.0f}" for what, one in own.items()
                 if what.endswith(", sums")]  # fmt: skip
        off = own["largest error of a weight, parents right"]["value"]
        cpu = own["a query, median CPU s"]["value"]
        yield (
            f"| {said} | {right['value']:.1%} | {right['limit']:.0%} | {', '.join(wrong) or '-'} "
            f"| {off:.2g} | {cpu:.2f} |"
        )
    yield ""
    yield (
        "Right is that all parents are found and no other; of sums with a parent from elsewhere, "
        "that this is said, and a parent missed is one of the others."
    )


def _speed(targets: Mapping[str, Any]) -> Iterator[str]:
    def row(said: str, what: str, form: str) -> str:
        one = targets[what]
        least = "at least" if one["sense"] == ">=" else "at most"
        missed = "" if one["holds"] else ", **missed**"
        limit = f"{least} {one['limit']:{form}}"
        return f"| {said} | {one['value']:{form}} | {limit}{missed} |"

    yield "| of adapters of GPT-2's shape, ranks 4 to 16, on two cores | measured | asked for |"
    yield "| --- | ---: | ---: |"
    yield row("index and all pairs of 1,000: seconds", "1,000: index and all pairs, seconds", ".0f")
    yield row("its memory, MB", "1,000: peak MB", ",.0f")
    yield row("over reading the files and their products at full speed, times",
              "1,000: index and all pairs over the floor of both, CPU", ".1f")  # fmt: skip
    yield row("the index alone over reading and hashing the files, times",
              "1,000: index over reading and hashing, CPU", ".1f")  # fmt: skip
    yield row("the index again after one new adapter: CPU seconds",
              "1,000: index again, one new, CPU s", ".1f")  # fmt: skip
    yield row("10,000 by sketch: neighbours of one, CPU seconds",
              "10,000: neighbours of one, CPU s", ".1f")  # fmt: skip
    yield row("copies and runs found, a share", "10,000: share of them found", ".0%")
    yield row("false ones among them", "10,000: false ones, a share of those found", ".0%")
    yield row("a study of 24 cells on two Ray workers: times as quick as on one",
              "one worker's seconds over two workers'", ".1f")  # fmt: skip
    grown = [targets[f"{count:,}: index and all pairs, CPU s"]["value"] for count in speed.COUNTS]
    counts = ", ".join(f"{count:,}" for count in speed.COUNTS)
    yield ""
    yield (
        f"At {counts} adapters index and all pairs take {', '.join(f'{s:.0f}' for s in grown)} "
        "seconds of the processor: the index grows with the adapters, the pairs with their square. "
        "What the index alone takes beyond reading goes to sketches, to every tensor's checks, and "
        "to singular values."
    )
