"""What the methods and what stands beside them were measured at, row by row, and one file of all.

The file is the record's other half: whoever has it needs no model to judge anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import records
from benchmarks.methods.beside import Beside, besides
from benchmarks.methods.contending import Contending, contendings
from benchmarks.methods.sums import CALIBRATION, PASSES, TEST, core_sums
from benchmarks.prediction.field import Field
from benchmarks.result import RESULTS, write_arrays
from superpose.errors import BadInput

__all__ = [
    "ROWS",
    "Cell",
    "Measurements",
    "Rows",
    "cell_of",
    "collected",
    "counting",
    "kept",
    "on_record",
    "played",
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


def cell_of(each: Contending | Beside) -> Cell:
    """Give the cell that a method, or a way beside them, is on its sum."""
    if isinstance(each, Contending):
        return Cell(each.condition, each.seed, each.domains, each.method)
    return Cell("main", each.seed, each.domains, each.way)


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
    """Give the sums of which everything is measured.

    What lies in the folder is read there; the rest is taken from what an earlier judgement has put
    on record, which needs no folder. Raises BadInput where no sum has every method and all that
    stands beside them.
    """
    files, before = dict(_files(field)), on_record(field)
    here = {cell for cell, file in files.items() if (field.folder.path / file).exists()}
    broken = {_sum(cell) for cell in files if cell not in here and cell not in before}
    whole = [cell for cell in files if _sum(cell) not in broken]
    if not any(cell.condition == "main" for cell in whole):
        raise BadInput(
            "no sum is measured to its end",
            where=field.folder.path,
            hint="Run: python -m benchmarks.methods play",
        )
    return {
        cell: read_rows_of(field.folder.read(files[cell])) if cell in here else before[cell]
        for cell in whole
    }


def on_record(field: Field) -> dict[Cell, dict[str, Rows]]:
    """Give what an earlier judgement of the same arena has put on record."""
    record = records.recorded(records.ARENA)
    if record is None or any(record["about"][key] != said for key, said in played(field).items()):
        return {}
    wanted = {cell for cell, _ in _files(field)}
    return {cell: rows for cell, rows in recorded_rows().items() if cell in wanted}


def played(field: Field) -> dict[str, Any]:
    """Give what makes two arenas one: the tournament's settings, and rows and passes."""
    rows = {"calibration": CALIBRATION, "test": TEST, "passes": PASSES}
    settings = json.loads(json.dumps(field.tournament.to_json()))
    return {"tournament": settings, "rows": rows}


def counting(field: Field, found: Measurements) -> Measurements:
    """Give the sums of the seeds that are finished; where none is, all."""
    finished = _finished(field, dict(_files(field)), set(found))
    return {cell: rows for cell, rows in found.items() if not finished or cell.seed in finished}


def unfinished_seeds(field: Field, found: Measurements) -> list[int]:
    """Give the seeds of which something is missing."""
    finished = _finished(field, dict(_files(field)), set(found))
    return [seed for seed in field.tournament.seeds if seed not in finished]


def _finished(field: Field, wanted: Iterable[Cell], there: set[Cell]) -> set[int]:
    """Give the seeds whose core is there: of these the sums beyond it count too."""
    seeds = field.tournament.seeds
    core = {(seed, domains) for seed in seeds for domains in core_sums(field, seed)}
    missing = {
        cell.seed
        for cell in wanted
        if cell not in there and (cell.condition == "same-a" or (cell.seed, cell.domains) in core)
    }
    return set(seeds) - missing


def _sum(cell: Cell) -> Cell:
    return cell._replace(way="")


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
    for each in (*contendings(field), *besides(field)):
        yield cell_of(each), each.file


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
