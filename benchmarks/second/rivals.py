"""Rivals that read more of the data: inner products under it, and MAP at the design of its paper.

Of the first seed alone, on all calibration rows: what the target modules' inputs and the gradients
make of the deltas, at each domain's own adapter; and of each triple values at as many weightings
of its three adapters as a quadratic of them has coefficients. In a record of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field as made
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits, of_inner
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from benchmarks.result import RESULTS, write_arrays
from benchmarks.second.adapters import train_seeds
from benchmarks.second.plan import sums
from superpose.landscape.calibrated import DataInner
from superpose.landscape.sample import Sample
from superpose.measure.calibrate import measure
from superpose.measure.data_inner import measure_inner
from superpose.model import SuperposedModel
from superpose.studies.cells import cell_seed

__all__ = [
    "RIVAL_ROWS",
    "Rival",
    "Seen",
    "collected_rivals",
    "recorded_rivals",
    "rival_missing",
    "rivals",
    "scattered",
]

RIVAL_ROWS = RESULTS / "rivals.npz"
"""What was measured for them, row by row where there are rows."""

SIZE = 3
"""Adapters of the merges that MAP is fitted to: of pairs lambda space measures all, and of four
there are too many values."""


@dataclass(frozen=True)
class Rival:
    """One domain's inner products or, with members, its losses in their weights."""

    seed: int
    domain: str
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `inner products, seed 0: music`."""
        what = f"{'+'.join(self.members)} scattered" if self.members else "inner products"
        return f"{what}, seed {self.seed}: {self.domain}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"rivals/seed-{self.seed}/{self.domain}/{'+'.join(self.members) or 'inner'}.json"


@dataclass(frozen=True, eq=False)
class Seen:
    """What was measured of one domain. merges: by the places of their adapters, ascending."""

    inner: DataInner
    merges: Mapping[tuple[int, ...], Sample] = made(default_factory=dict)


def rivals(field: Field) -> list[Rival]:
    """All of them: inner products first, then triple by triple."""
    first = field.tournament.seeds[0]
    triples = [each for each in sums(field, first) if len(each) == SIZE]
    inner = [Rival(first, domain) for domain in field.names]
    return inner + [Rival(first, domain, each) for each in triples for domain in each]


def rival_missing(field: Field, jobs: Jobs = 1) -> None:
    """Measure what does not lie in the folder yet; the caller holds the folder's lock."""
    train_seeds(field, field.tournament.seeds[:1], jobs)
    todo = [each for each in rivals(field) if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(field, each) for each in todo], _measurer, jobs)


def scattered(field: Field, rival: Rival) -> NDArray[np.float64]:
    """Give the task weights of a merge's members, (P, K): uniform in [0, 1], the others' 0."""
    places = [field.names.index(name) for name in rival.members]
    count = (len(places) + 1) * (len(places) + 2) // 2
    points = np.zeros((count, len(field.names)))
    rng = np.random.default_rng(cell_seed(rival.seed, rival.file))
    points[:, places] = rng.uniform(size=(count, len(places)))
    return points


@contextmanager
def _measurer(field: Field) -> Iterator[Callable[[Rival], None]]:
    """Give the function that measures one."""

    def do(rival: Rival) -> None:
        adapters = [trained(field, "main", rival.seed, name) for name in field.names]
        rows = field.examples(rival.domain, "calibration")
        with SuperposedModel(field.base.model, adapters) as model:
            if rival.members:
                points = scattered(field, rival)
                sample = measure(model, rows, list(points), gradients=False)
                found = {"points": points.tolist(), "tokens": sample.tokens.tolist()}
                found |= {"nll": digits(sample.nll, 7)}
            else:
                own = np.eye(len(adapters))[field.names.index(rival.domain)]
                found = of_inner(measure_inner(model, rows, own))
        field.folder.write(rival.file, found)

    yield do


def collected_rivals(field: Field) -> Mapping[tuple[int, str], Seen]:
    """Read what is judged: the folder's where it is finished, else what is on record.

    What the folder holds is put on record.
    """
    every = rivals(field)
    if all((field.folder.path / each.file).exists() for each in every):
        arrays: dict[str, NDArray[Any]] = {}
        for each in every:
            content: Any = field.folder.read(each.file)
            places = "+".join(str(field.names.index(name)) for name in each.members)
            where = f"{each.seed}|{each.domain}|{places or 'inner'}"
            for key, values in content.items():
                array = np.array(values)
                arrays[f"{where}|{key}"] = array.astype("f4") if array.dtype == "f8" else array
        write_arrays(RIVAL_ROWS, arrays)
    return recorded_rivals()


def recorded_rivals() -> Mapping[tuple[int, str], Seen]:
    """Read what is on record, by seed and domain; nothing where nothing is."""
    if not RIVAL_ROWS.exists():
        return {}
    held: dict[tuple[int, str], dict[str, dict[str, NDArray[Any]]]] = {}
    with np.load(RIVAL_ROWS) as opened:
        for key in opened.files:
            seed, domain, part, name = key.split("|")
            of_domain = held.setdefault((int(seed), domain), {})
            of_domain.setdefault(part, {})[name] = opened[key]
    return {where: _seen(parts) for where, parts in held.items()}


def _seen(parts: dict[str, dict[str, NDArray[Any]]]) -> Seen:
    held = parts.pop("inner")
    inputs, curvature = (held[key].astype(float) for key in ("inputs", "curvature"))
    inner = DataInner(inputs, curvature, tuple(held["modules"].tolist()))
    merges = {}
    for part, of in parts.items():
        places = tuple(map(int, part.split("+")))
        points, nll = of["points"][:, places].astype(float), of["nll"].astype(float)
        slopes = np.full((*nll.shape, 1, len(places)), np.nan)
        merges[tuple(sorted(places))] = Sample(points, nll, slopes, of["tokens"], ("all",))
    return Seen(inner, merges)


def _work(field: Field, rival: Rival) -> float:
    passes = len(scattered(field, rival)) if rival.members else 4
    return float(passes * sum(row.length for row in field.examples(rival.domain, "calibration")))
