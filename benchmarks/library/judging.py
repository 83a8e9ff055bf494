"""One result of what the parts of the benchmark left: figures, targets, failures by their kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.library import queries, sketched, speed
from benchmarks.measure import Sample, Timing
from benchmarks.result import Result, Target

__all__ = ["FOLDER", "judged", "measure", "of_queries"]

FOLDER = Path("runs", "library")

_SPEED, _SKETCHED = "speed", "sketched"

_LEAST = {"bfloat16": 0.99, "compressed": 0.90, "baked": 0.95, "one from elsewhere": 0.95}

_QUESTION = f"""\
How long do index and all pairs of made adapters of GPT-2 shape take (c_attn of {speed.LAYERS}
layers, ranks 4, 8 and 16), what do sketches find among {sketched.COUNT:,}, and how often are the
parents of anonymous sums found (2 to 5 parents, weights from 0.1 to 1.5 of either sign, a library
of {queries.COUNT:,} with checkpoints of runs and adapters that PEFT trained, c_attn of
{queries.LAYERS} layers)? Other work ran on the same cores: ratios, and times where it is said, are
of the processor's seconds."""


def measure(repeats: int = 1, folder: Path = FOLDER) -> Result:
    """Do every part that is not there yet, once whatever `repeats` says, and judge them."""
    speed.time_missing(folder)
    sketched.sketch_missing(folder)
    queries.ask_missing(folder)
    return judged(folder)


def judged(folder: Path, record: Path | None = None) -> Result:
    """Judge what lies in a folder; a part that is not there is left out.

    record: what an earlier judgement has left, whose figures stay for such a part.
    """
    timings: dict[str, Timing] = {}
    targets: list[Target] = []
    parts: dict[str, Iterator[Target]] = {
        _SPEED: _of_speed(folder, timings),
        _SKETCHED: _of_sketches(folder, timings),
        **{kind: _of_kind(folder, kind, timings) for kind in queries.KINDS},
    }
    known = json.loads(record.read_text()) if record is not None and record.exists() else {}
    for part, found in parts.items():
        fresh = list(found)
        targets += fresh or _on_record(known, part, timings)
    return Result("library", _QUESTION.replace("\n", " "), timings, tuple(targets))


@dataclass(frozen=True)
class _Recorded(Timing):
    """A timing of which the record has kept the figures alone."""

    told: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return dict(self.told)


def _on_record(known: Mapping[str, Any], part: str, timings: dict[str, Timing]) -> Iterator[Target]:
    for name, told in known.get("timings", {}).items():
        if _part_of(name) == part:
            timings[name] = _Recorded((), told)
    for told in known.get("targets", ()):
        if _part_of(told["what"]) == part:
            yield Target(told["what"], told["value"], told["sense"], told["limit"])


def _part_of(name: str) -> str:
    """Give the part of the benchmark that a figure or a timing is of."""
    if name.startswith(f"{sketched.COUNT:,}"):
        return _SKETCHED
    if name.split(":")[0] in {f"{count:,}" for count in speed.COUNTS}:
        return _SPEED
    return name.split(":")[0].removeprefix("unmix, ")


def _of_speed(folder: Path, timings: dict[str, Timing]) -> Iterator[Target]:
    whole = {}
    for count in speed.COUNTS:
        if (file := folder / f"speed-{count}.json").exists():
            told = json.loads(file.read_text())
            cpu = {name: spent[1] for name, spent in told["timings"].items()}
            whole[count] = cpu["index"] + cpu["all pairs"]
            timings |= {
                f"{count:,}: {name}": Timing((Sample(*spent, told["peak_mb"]),))
                for name, spent in told["timings"].items()
            }
            yield Target(f"{count:,}: index and all pairs, CPU s", whole[count])
    if max(speed.COUNTS) in whole:
        seconds = told["timings"]
        yield Target("1,000: index and all pairs, seconds", seconds["index"][0]
                     + seconds["all pairs"][0], "<=", 60.0)  # fmt: skip
        yield Target("1,000: peak MB", told["peak_mb"], "<=", 1000.0)
        yield Target("1,000: all pairs over their products' floor, CPU",
                     cpu["all pairs"] / cpu["the pairs' products at full speed"],
                     "<=", 3.0)  # fmt: skip
        floor = cpu["read and hash the files"] + cpu["the pairs' products at full speed"]
        yield Target("1,000: index and all pairs over the floor of both, CPU",
                     whole[1000] / floor, "<=", 3.0)  # fmt: skip
        yield Target("1,000: index over reading and hashing, CPU",
                     cpu["index"] / cpu["read and hash the files"], "<=", 3.0)  # fmt: skip
        yield Target("1,000: index again, one new, CPU s", cpu["index again, one new"], "<=", 2.0)


def _of_sketches(folder: Path, timings: dict[str, Timing]) -> Iterator[Target]:
    if not (file := folder / "sketched.json").exists():
        return
    told = json.loads(file.read_text())
    count = f"{told['count']:,}"
    samples = {name: [spent] for name, spent in told["timings"].items()} | {"near": told["near"]}
    timings |= {
        f"{count} by sketch: {name}": Timing(tuple(Sample(*one) for one in spent))
        for name, spent in samples.items()
    }
    near = float(np.median([cpu for _, cpu in told["near"]]))
    yield Target(f"{count}: neighbours of one, CPU s", near, "<=", 1.0)
    for what in ("copies", "runs"):
        found = told[what]
        right = found["found"] / max(1, found["there"])
        false = found["false"] / max(1, found["found"] + found["false"])
        yield Target(f"{count}: pairs of {what} there", found["there"])
        yield Target(f"{count}: share of them found", right, ">=", 0.99)
        yield Target(f"{count}: false ones, a share of those found", false, "<=", 0.01)
    errors = told["errors"]
    yield Target(
        f"{count}: a sketch's error over the stated, RMS", errors["rms error over the stated"]
    )
    yield Target(
        f"{count}: within two stated errors, a share", errors["within two stated"], ">=", 0.93
    )


def _of_kind(folder: Path, kind: str, timings: dict[str, Timing]) -> Iterator[Target]:
    answers = queries.told_of(folder, kind)
    if answers:
        spent = tuple(Sample(one["seconds"], one["cpu"]) for one in answers)
        timings[f"unmix, {kind}"] = Timing(spent)
        yield from of_queries(kind, answers)


def of_queries(kind: str, answers: list[Mapping[str, Any]]) -> Iterator[Target]:
    """Judge the answers of one kind: the share that is right, weights, failures, time."""
    said = Counter(queries.verdict_of(one["told"], one["truth"]) for one in answers)
    count = len(answers)
    if kind == "one from elsewhere":
        right = sum(not one["complete"] for one in answers)
        yield Target(f"{kind}: recognised, a share of {count}", right / count, ">=", _LEAST[kind])
        yield Target(f"{kind}: the other parents right, a share", said["right"] / count)
    else:
        share = said["right"] / count
        yield Target(f"{kind}: parents right, a share of {count}", share, ">=", _LEAST[kind])
        whole = sum(one["complete"] for one in answers) / count
        yield Target(f"{kind}: said to be the whole, a share", whole)
    off = [error for one in answers for error in _errors(one)]
    if off:
        limit = ("<=", 1e-3) if kind == "bfloat16" else (None, None)
        yield Target(f"{kind}: largest error of a weight, parents right", max(off), *limit)
        inside = [held for one in answers if _right(one) for held in one["inside"]]
        yield Target(f"{kind}: weights inside their interval, a share", float(np.mean(inside)))
    for what, often in sorted(said.items()):
        if what != "right":
            yield Target(f"{kind}: {what}, sums", often)
    cpu = float(np.median([one["cpu"] for one in answers]))
    yield Target(f"{kind}: a query, median CPU s", cpu, "<=", 1.0)


def _right(one: Mapping[str, Any]) -> bool:
    return queries.verdict_of(one["told"], one["truth"]) == "right"


def _errors(one: Mapping[str, Any]) -> list[float]:
    if not _right(one):
        return []
    return [abs(weight - one["truth"][name]) for name, weight in one["told"].items()]
