"""What was measured in the second tournament, row by row: from its folder, or from one file of all.

The file is the record's other half: whoever has it needs no model to judge anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.field import Field
from benchmarks.result import RESULTS, write_arrays
from benchmarks.second.plan import MATCHED, PARTS, Part, parts
from benchmarks.second.ways import Place, Ways, lying_ways
from superpose.errors import BadInput
from superpose.landscape.sample import Sample

__all__ = [
    "RECORD",
    "ROWS",
    "Measurements",
    "PartRows",
    "collected",
    "kept",
    "part_rows",
    "record_before",
    "recorded_rows",
    "seeds_left",
]

Array: TypeAlias = NDArray[np.float64]

RECORD, ROWS = RESULTS / "second.json", RESULTS / "second.npz"
"""What was judged, and the row losses behind it."""


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


@dataclass(frozen=True, eq=False)
class Measurements:
    """All that is judged: the domains that are measured whole, seed by seed.

    adapters: K names, in the order of the task weights. parts: of each seed and domain the three
    of `PARTS`; with norm-matched adapters, where that was measured, one more. ways: test rows under
    what was trained in the adapters' place.
    """

    adapters: tuple[str, ...]
    parts: Mapping[Part, PartRows]
    ways: Mapping[Place, Ways] = field(default_factory=dict)

    def __getitem__(self, part: Part) -> PartRows:
        return self.parts[part]

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds, ascending."""
        return sorted({part.seed for part in self.parts if part.part in PARTS})

    @cached_property
    def domains(self) -> list[str]:
        """The domains that are measured, in the adapters' order."""
        there = {part.domain for part in self.parts if part.part in PARTS}
        return [name for name in self.adapters if name in there]

    def alone(self, domain: str) -> Array:
        """Give the task weights of a domain's own adapter: (K,)."""
        return np.asarray(np.eye(len(self.adapters))[self.adapters.index(domain)])

    def sum_of(self, domains: Sequence[str]) -> Array:
        """Give the task weights of some adapters' sum: (K,)."""
        return np.array([float(name in domains) for name in self.adapters])


def collected(field: Field, before: Measurements | None = None) -> Measurements:
    """Read what is judged: the seeds that are finished, and what was measured beside them.

    before: what an earlier judgement has put on record; of seeds, and of what was measured beside
    them, that are not in the folder its rows are taken. Where no seed is finished, of the first
    one that is begun the domains that are; that is no judgement as it was registered, and the page
    says so. Raises BadInput where no domain is.
    """
    chosen = _chosen(field)
    if before is not None:
        return _joined(before, field, chosen)
    if not chosen:
        raise BadInput(
            "no domain is measured to its end",
            where=field.folder.path,
            hint="Run: python -m benchmarks.second measure",
        )
    return Measurements(field.names, _parts(field, chosen, chosen), dict(lying_ways(field)))


def _joined(before: Measurements, field: Field, chosen: set[tuple[int, str]]) -> Measurements:
    """Give what is on record and, in its place or beside it, whole seeds of the folder."""
    whole = {
        (seed, name)
        for seed, name in chosen
        if all((seed, every) in chosen for every in field.names)
    }
    there = whole | {(part.seed, part.domain) for part in before.parts}
    read = {**before.parts, **_parts(field, whole, there)}
    return Measurements(field.names, read, {**before.ways, **dict(lying_ways(field))})


def _parts(
    field: Field, chosen: set[tuple[int, str]], judged: set[tuple[int, str]]
) -> dict[Part, PartRows]:
    """Read the parts of seeds and domains, and of those that are judged the norm-matched one."""
    more = [part for part in _matched(field) if (part.seed, part.domain) in judged]
    those = [part for part in parts(field) if (part.seed, part.domain) in chosen]
    return {part: part_rows(field.folder.read(part.file)) for part in (*those, *more)}


def record_before(field: Field) -> dict[str, Any] | None:
    """Give the record of an earlier judgement of this very tournament, if there is one."""
    if not (RECORD.exists() and ROWS.exists()):
        return None
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    settings = json.loads(json.dumps(field.tournament.to_json()))
    return record if record["about"]["tournament"] == settings else None


def seeds_left(field: Field) -> list[int]:
    """Give the seeds that are not on record: what trains and measures leaves the others alone."""
    record = record_before(field)
    held = record["seeds"] if record and len(record["domains"]) == len(field.names) else []
    return [seed for seed in field.tournament.seeds if seed not in held]


def _chosen(field: Field) -> set[tuple[int, str]]:
    """The seeds and domains that are judged."""
    left = {p for p in parts(field) if not (field.folder.path / p.file).exists()}
    missing = {(part.seed, part.domain) for part in left}
    begun: list[set[tuple[int, str]]] = []
    for seed in field.tournament.seeds:
        every = {(seed, name) for name in field.names}
        begun.append(every - missing)
    whole = [each for each in begun if len(each) == len(field.names)]
    return set().union(*whole) or next((each for each in begun if each), set())


def _matched(field: Field) -> Iterator[Part]:
    for domain in field.names:
        part = Part(field.tournament.seeds[0], domain, MATCHED)
        if (field.folder.path / part.file).exists():
            yield part


def kept(found: Measurements, file: Path = ROWS) -> None:
    """Write everything into one compressed file, losses in single precision."""
    arrays: dict[str, NDArray[Any]] = {"adapters": np.array(found.adapters)}
    for part, rows in found.parts.items():
        for of in fields(PartRows):
            where = f"{part.part}|{part.seed}|{part.domain}|{of.name}"
            arrays[where] = _narrow(getattr(rows, of.name))
    for place, ways in found.ways.items():
        arrays |= {
            f"{'|'.join(place)}|{way}": nll.astype(np.float32) for way, nll in ways.nll.items()
        }
        arrays[f"{'|'.join(place)}|tokens"] = ways.tokens
    write_arrays(file, arrays)


def recorded_rows(file: Path = ROWS) -> Measurements:
    """Read what `kept` wrote. Raises BadInput where there is none."""
    if not file.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.second judge")
    with np.load(file) as opened:
        arrays = {key: _wide(opened[key]) for key in opened.files}
    adapters = tuple(arrays.pop("adapters").tolist())
    held: dict[tuple[str, ...], dict[str, NDArray[Any]]] = {}
    for key, values in arrays.items():
        *where, name = key.split("|")
        held.setdefault(tuple(where), {})[name] = values
    found = {
        Part(int(where[1]), where[2], where[0]): PartRows(**of)
        for where, of in held.items()
        if where[0] in (*PARTS, MATCHED)
    }
    ways = {
        Place(*where): Ways(of.pop("tokens"), of)
        for where, of in held.items()
        if where[0] not in (*PARTS, MATCHED)
    }
    return Measurements(adapters, found, ways)


def part_rows(content: Any) -> PartRows:
    """Read what was written of a part."""
    points = np.asarray(content["points"], dtype=np.float64)
    tokens = np.asarray(content["tokens"], dtype=np.int64)
    return PartRows(
        points,
        tokens,
        np.asarray(content["nll"], dtype=np.float64),
        _padded(content["choices"]) if content.get("choices") else np.zeros(0),
        np.asarray(content.get("right") or [], dtype=np.int64),
        _or_none(content.get("slopes")),
        _or_none(content.get("margin_slopes")),
        np.asarray(content.get("seconds", 0.0), dtype=np.float64),
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
