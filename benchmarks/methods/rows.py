"""What the methods and what stands beside them were measured at, row by row, and one file of all.

The file is the record's other half: whoever has it needs no model to judge anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.beside import besides
from benchmarks.methods.contending import contendings
from benchmarks.prediction.field import Field
from benchmarks.result import RESULTS, write_arrays
from superpose.errors import BadInput

__all__ = [
    "ROWS",
    "Cell",
    "Measurements",
    "Rows",
    "collected",
    "kept",
    "read_rows_of",
    "recorded_rows",
    "unfinished_seeds",
]

Array: TypeAlias = NDArray[np.float64]

ROWS = RESULTS / "methods.npz"


class Cell(NamedTuple):
    """One way, or merge method, on one sum. condition: `main`, `same-a` or `inputs`."""

    condition: str
    seed: int
    domains: tuple[str, ...]
    way: str


@dataclass(frozen=True, eq=False)
class Rows:
    """One domain's test rows: nats of each answer (R,), and its tokens (R,)."""

    nll: Array
    tokens: NDArray[np.int64]

    @property
    def loss(self) -> float:
        """Nats an answer token."""
        return float(self.nll.sum() / self.tokens.sum())


Measurements: TypeAlias = Mapping[Cell, Mapping[str, Rows]]


def collected(field: Field) -> dict[Cell, dict[str, Rows]]:
    """Read the sums of the seeds that are finished; where none is, those that are.

    Raises BadInput where no sum has every method and all that stands beside them.
    """
    files = dict(_files(field))
    missing = {cell for cell, file in files.items() if not (field.folder.path / file).exists()}
    unfinished = {cell.seed for cell in missing}
    seeds = set(field.tournament.seeds) - unfinished or unfinished
    open_sums = {cell._replace(way="") for cell in missing}
    whole = [c for c in files if c.seed in seeds and c._replace(way="") not in open_sums]
    if not any(cell.condition == "main" for cell in whole):
        raise BadInput(
            "no sum is measured to its end",
            where=field.folder.path,
            hint="Run: python -m benchmarks.methods contend, and beside",
        )
    return {cell: read_rows_of(field.folder.read(files[cell])) for cell in whole}


def unfinished_seeds(field: Field) -> list[int]:
    """Give the seeds of which something is missing."""
    left = {c.seed for c, file in _files(field) if not (field.folder.path / file).exists()}
    return [seed for seed in field.tournament.seeds if seed in left]


def kept(found: Measurements, file: Path = ROWS) -> None:
    """Write everything into one compressed file, losses in single precision."""
    arrays: dict[str, NDArray[Any]] = {}
    for cell, domains in found.items():
        for domain, rows in domains.items():
            where = f"{cell.condition}|{cell.seed}|{'+'.join(cell.domains)}|{cell.way}|{domain}"
            arrays[where] = rows.nll.astype(np.float32)
            arrays[f"tokens|{domain}"] = rows.tokens
    write_arrays(file, arrays)


def recorded_rows(file: Path = ROWS) -> dict[Cell, dict[str, Rows]]:
    """Read what `kept` wrote. Raises BadInput where there is none."""
    if not file.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.methods judge")
    found: dict[Cell, dict[str, Rows]] = {}
    with np.load(file) as arrays:
        for key in arrays.files:
            if key.startswith("tokens|"):
                continue
            condition, seed, domains, way, domain = key.split("|")
            cell = Cell(condition, int(seed), tuple(domains.split("+")), way)
            rows = Rows(arrays[key].astype(np.float64), arrays[f"tokens|{domain}"])
            found.setdefault(cell, {})[domain] = rows
    return found


def _files(field: Field) -> Iterator[tuple[Cell, str]]:
    for one in contendings(field):
        yield Cell(one.condition, one.seed, one.domains, one.method), one.file
    for each in besides(field):
        yield Cell("main", each.seed, each.domains, each.way), each.file


def read_rows_of(content: Any) -> dict[str, Rows]:
    """Read a file: a method's holds scores, that of a way beside them losses and tokens."""
    if "scores" in content:
        nll = {name: found["row_nll"] for name, found in content["scores"].items()}
        tokens = {name: found["row_tokens"] for name, found in content["scores"].items()}
    else:
        nll, tokens = content["nll"], content["tokens"]
    return {
        name: Rows(np.asarray(nll[name], np.float64), np.asarray(tokens[name], np.int64))
        for name in nll
    }
