"""What a benchmark leaves: timings, targets, and what they were measured with, as JSON."""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Timing
from superpose.files import new_file

__all__ = ["RESULTS", "Result", "Target", "stamp", "tables", "write_arrays", "write_record"]

RESULTS = Path(__file__).with_name("results")

_COMPARE = {"<=": operator.le, ">=": operator.ge}
_SPREAD = ("fastest_s", "median_s", "slowest_s", "cpu_s")
_LIBRARIES = (
    "superpose",
    "numpy",
    "safetensors",
    "ml_dtypes",
    "typer",
    "torch",
    "transformers",
    "peft",
)


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, beside its place and renamed. Raises ValueError for a NaN in it."""
    text = json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False)
    with new_file(file) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into one compressed file, beside its place and renamed."""
    given: Mapping[str, Any] = arrays
    with new_file(file) as beside, beside.open("wb") as open_file:
        np.savez_compressed(open_file, **given)


@dataclass(frozen=True)
class Target:
    """A figure that was promised, or without a limit one for the record. sense: `<=` or `>=`."""

    what: str
    value: float
    sense: str | None = None
    limit: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it does; None without a limit."""
        if self.sense is None or self.limit is None:
            return None
        return bool(_COMPARE[self.sense](self.value, self.limit))

    def to_json(self) -> dict[str, Any]:
        """The fields, and whether it holds."""
        fields = {"what": self.what, "value": float(f"{self.value:.4g}")}
        return fields | {"sense": self.sense, "limit": self.limit, "holds": self.holds}


@dataclass(frozen=True)
class Result:
    """One benchmark's outcome.

    question: what it asks, in a sentence. begun: when its run began, in UTC. load: how many
    processes wanted a core before it began, on the mean of a minute; None where nobody looked.
    """

    name: str
    question: str
    timings: Mapping[str, Timing]
    targets: tuple[Target, ...]
    begun: str | None = None
    load: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, with the versions and the processor it was measured on."""
        run = {"begun": self.begun, "load": self.load}
        return {
            "name": self.name,
            "question": self.question,
            "timings": {name: timing.to_json() for name, timing in self.timings.items()},
            "targets": [target.to_json() for target in self.targets],
            "measured_with": stamp()
            | {name: each for name, each in run.items() if each is not None},
        }

    def write(self, folder: Path = RESULTS) -> Path:
        """Write `NAME.json` into the folder."""
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        return path


def stamp() -> dict[str, Any]:
    """Versions, processor and number of cores: nothing that tells whose machine it was."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def tables(record: Mapping[str, Any]) -> str:
    """One benchmark's JSON as Markdown: its targets and its timings."""
    lines = [f"## {record['name']}", "", record["question"], ""]
    lines += ["| figure | measured | target | holds |", "| --- | ---: | ---: | --- |"]
    for target in record["targets"]:
        wanted = "" if target["sense"] is None else f"{target['sense']} {target['limit']:g}"
        holds = {None: "", True: "yes", False: "**no**"}[target["holds"]]
        lines.append(f"| {target['what']} | {target['value']:.4g} | {wanted} | {holds} |")
    lines += ["", "| run | minimum s | median s | maximum s | CPU s | runs | peak MB |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, timing in record["timings"].items():
        peak = f"{timing['peak_mb']:.0f}" if "peak_mb" in timing else ""
        spread = " | ".join(f"{timing[key]:.4g}" for key in _SPREAD)
        lines.append(f"| {name} | {spread} | {timing['runs']} | {peak} |")
    made = record["measured_with"]
    versions = ", ".join(f"{name} {made[name]}" for name in ("python", *_LIBRARIES) if name in made)
    lines += ["", f"{made['cores']} cores of {made['processor']}, {made['system']}; {versions}."]
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
