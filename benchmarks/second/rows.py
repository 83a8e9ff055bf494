"""What was measured in the second tournament, row by row: from its folder, or from one file of all.

The file is the record's other half: whoever has it needs no model to judge anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.field import Field
from benchmarks.result import RESULTS
from benchmarks.second.plan import Part, parts
from superpose.errors import BadInput
from superpose.files import new_file
from superpose.landscape.sample import Sample

__all__ = ["ROWS", "Measurements", "PartRows", "collected", "finished", "kept", "recorded_rows"]

Array: TypeAlias = NDArray[np.float64]

ROWS = RESULTS / "second.npz"


@dataclass(frozen=True, eq=False)
class PartRows:
    """One part on one domain: P weightings of K adapters, R rows, Q first ones of them.

    points: (P, K). tokens: (R,) of each answer. nll: (P, R), nats of the answers. choices:
    (P, R, C), nats of each choice, NaN where it was not measured or a row has fewer; (0,) where
    rows have none, and so is right: (R,). In the part of slopes choices are of Q rows, and there
    are slopes: (P, R, K), and margin_slopes: (P, Q, K); (0,) elsewhere. seconds: () that it took.
    """

    points: Array
    tokens: NDArray[np.int64]
    nll: Array
    choices: Array
    right: NDArray[np.int64]
    slopes: Array
    margin_slopes: Array
    seconds: Array

    @property
    def loss(self) -> Array:
        """(P,) nats an answer token."""
        return np.asarray(self.nll.sum(axis=1) / self.tokens.sum())

    def at(self, point: Array) -> int:
        """The place of a weighting. Raises BadInput where it was not measured."""
        found = np.flatnonzero(np.abs(self.points - point).max(axis=1) < 1e-9)
        if not len(found):
            raise BadInput(f"nothing was measured at {point.tolist()}")
        return int(found[0])

    def sample(self, places: NDArray[np.int64] | None = None) -> Sample:
        """Give some of its weightings, or all, as what a polynomial is fitted to."""
        chosen = np.arange(len(self.points)) if places is None else places
        shape = (len(chosen), len(self.tokens), 1, self.points.shape[1])
        slopes = self.slopes[chosen][:, :, None] if self.slopes.size else np.full(shape, np.nan)
        return Sample(self.points[chosen], self.nll[chosen], slopes, self.tokens, ("all",))


Measurements: TypeAlias = Mapping[Part, PartRows]


def collected(field: Field) -> dict[Part, PartRows]:
    """Read every finished part of the seeds that are finished. Raises BadInput where none is."""
    wanted = parts(field)
    hint = "Run: python -m benchmarks.second measure"
    whole = field.finished_seeds(((part.seed, part.file) for part in wanted), hint)
    return {p: _read(field.folder.read(p.file)) for p in wanted if p.seed in whole}


def finished(found: Measurements) -> tuple[list[int], list[str]]:
    """Give the seeds, ascending, and the domains in the field's order."""
    return sorted({part.seed for part in found}), list(dict.fromkeys(p.domain for p in found))


def kept(found: Measurements, file: Path = ROWS) -> None:
    """Write everything into one compressed file, losses in single precision."""
    arrays = {
        f"{part.part}|{part.seed}|{part.domain}|{of.name}": _narrow(getattr(rows, of.name))
        for part, rows in found.items()
        for of in fields(PartRows)
    }
    with new_file(file) as beside, beside.open("wb") as open_file:
        np.savez_compressed(open_file, **arrays)


def recorded_rows(file: Path = ROWS) -> dict[Part, PartRows]:
    """Read what `kept` wrote. Raises BadInput where there is none."""
    if not file.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.second judge")
    with np.load(file) as arrays:
        names = dict.fromkeys(tuple(key.split("|")[:3]) for key in arrays.files)
        return {
            Part(int(seed), domain, part): PartRows(
                **{
                    of.name: _wide(arrays[f"{part}|{seed}|{domain}|{of.name}"])
                    for of in fields(PartRows)
                }
            )
            for part, seed, domain in names
        }


def _read(content: Any) -> PartRows:
    points = np.asarray(content["points"], dtype=np.float64)
    tokens = np.asarray(content["tokens"], dtype=np.int64)
    return PartRows(
        points,
        tokens,
        np.asarray(content["nll"], dtype=np.float64),
        _padded(content["choices"]) if content["choices"] else np.zeros(0),
        np.asarray(content["right"] or [], dtype=np.int64),
        _or_none(content["slopes"]),
        _or_none(content["margin_slopes"]),
        np.asarray(content["seconds"], dtype=np.float64),
    )


def _padded(choices: Any) -> Array:
    """Give (P, R, C) nats of choices, NaN where a weighting or a row has none."""
    most = max(len(row) for point in choices if point for row in point)
    rows = max(len(point) for point in choices if point)
    found = np.full((len(choices), rows, most), np.nan)
    for p, point in enumerate(choices):
        for r, row in enumerate(point or []):
            found[p, r, : len(row)] = row
    return found


def _or_none(values: Any) -> Array:
    return np.zeros(0) if values is None else np.asarray(values, dtype=np.float64)


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 and values.ndim > 1 else values


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float64) if values.dtype == np.float32 else values
