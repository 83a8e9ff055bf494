"""How the adapters of a library descend from each other: runs, and cohorts that began with one A.

Checkpoints of one run lie close in direction: those whose cosine reaches that of continued training
are one run, found by sketches and told by exact inner products. Within it each is tied to the one
that it is least far from, |dW_i - dW_j| (the minimum spanning tree; Prim 1957), from the smallest
on: training moves away from zero. Adapters that share the start of A but not the run keep a cosine
of their A factors, which two starts do not have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.files import without_nan
from superpose.interference.borders import ONE_RUN
from superpose.interference.clusters import Union
from superpose.library.blocks import products, stacked
from superpose.library.dupes import HeldAdapters
from superpose.library.opened import Library
from superpose.lowrank import formed, nonzero, upcast
from superpose.lowrank.to_numpy import to_numpy
from superpose.shown import Column, Framed, Line, Part, Shown, Table

Array: TypeAlias = Any

Tell: TypeAlias = Callable[[float, float | None, str], None]

_ROWS = 1024
_SHARED, _CONFIRMED = 0.4, 0.2
"""Cosine of two adapters' A factors from which they share a start: by sketch, whose standard error
is 1/16, and exactly. Two starts give 0."""

_SLACK = 0.15
"""Below the border of one run, what a sketch may show of a cosine that reaches it: five errors."""

_EXACT = 400
"""Adapters of a run whose cosines are all taken in float64; of a longer one in float32."""


@dataclass(frozen=True)
class RunMember:
    """An adapter of a run. after: the one it is tied to, None for the first; cosine: with it.

    distance: |dW - that of `after`| over its own norm. step: a number that ends its name.
    """

    name: str
    path: str
    norm: float
    after: str | None
    cosine: float
    distance: float
    step: int | None


@dataclass(frozen=True)
class Run:
    """Adapters of one run, each behind the one that it is tied to.

    in_order: whether the numbers that end their names say the same order; None without such.
    """

    base: str
    members: tuple[RunMember, ...]
    in_order: bool | None


@dataclass(frozen=True)
class Cohort:
    """Adapters of one rank that began with one A. cosine: the least with the first of them."""

    base: str
    rank: int
    members: tuple[str, ...]
    cosine: float


_RUNS = (
    Column("run", lambda row: row[0], "d"),
    Column("adapter", lambda row: row[1].name),
    Column("after", lambda row: row[1].after),
    Column("cosine", lambda row: row[1].cosine, ".4f"),
    Column("distance", lambda row: row[1].distance, ".3f"),
    Column("norm", lambda row: row[1].norm, ".4g"),
)
_COHORTS = (
    Column("rank", "rank", "d"),
    Column("adapters", lambda one: len(one.members), "d"),
    Column("cosine of A", "cosine", ".2f"),
    Column("which", lambda one: ", ".join(one.members), prose=True),
)


@dataclass(frozen=True)
class Lineage(Framed, Shown):
    """The runs and cohorts of a library. among: adapters that were looked at."""

    TABLE: ClassVar[str] = "runs.members"

    among: int
    runs: tuple[Run, ...]
    cohorts: tuple[Cohort, ...]

    def edges(self) -> list[dict[str, Any]]:
        """Give the graph's edges: from the earlier to the later checkpoint, with the cosine."""
        return [
            {"from": one.after, "to": one.name, "cosine": one.cosine}
            for run in self.runs
            for one in run.members
            if one.after is not None
        ]

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose lineage --json` prints."""
        runs = [
            {**vars(run), "members": [without_nan(vars(one)) for one in run.members]}
            for run in self.runs
        ]
        cohorts = [vars(one) for one in self.cohorts]
        return {"among": self.among, "runs": runs, "cohorts": cohorts, "edges": self.edges()}

    def to_dot(self) -> str:
        """Give the graph in Graphviz's language; a cohort is a cluster of its own."""
        lines = ["digraph lineage {", "  rankdir=LR; node [shape=box];"]
        lines += [f"  {json.dumps(one.name)};" for run in self.runs for one in run.members]
        lines += [
            f'  {json.dumps(e["from"])} -> {json.dumps(e["to"])} [label="{e["cosine"]:.3f}"];'
            for e in self.edges()
        ]
        for number, one in enumerate(self.cohorts):
            names = " ".join(f"{json.dumps(name)};" for name in one.members)
            label = f'label="one A, rank {one.rank}"; {names}'
            lines.append(f"  subgraph cluster_{number} {{ {label} }}")
        return "\n".join([*lines, "}"]) + "\n"

    def shown(self) -> tuple[Part, ...]:
        """Give the runs in order, and the cohorts."""
        parts: list[Part] = []
        rows = [(n + 1, one) for n, run in enumerate(self.runs) for one in run.members]
        if rows:
            said = "Distance is |dW - that of the one before| over its own norm. All exact."
            parts.append(Table.of("Runs", _RUNS, rows, said))
        if self.cohorts:
            parts.append(Table.of("Began with one A", _COHORTS, self.cohorts))
        if not parts:
            none = f"no two of {self.among:,} adapters are of one run or share an A."
            parts.append(Line(none if self.among > 1 else "one adapter alone has no relatives."))
        return tuple(parts)


def lineage_of(library: Library, progress: Tell | None = None) -> Lineage:
    """Find the runs and the cohorts of a library."""
    held, runs, cohorts = HeldAdapters(library), [], []
    for base, members in library.bases.items():
        live = [at for at in members if library.entries[at].norm > 0.0]
        near = _joined_by(library.sketches, live, ONE_RUN - _SLACK)
        groups = [group for group in near if len(group) > 1]
        for done, group in enumerate(groups):
            if progress is not None:
                progress(done, len(groups), "order runs")
            runs += _runs(held, base, group)
        cohorts += _cohorts(held, base, live)
    return Lineage(len(library.entries), tuple(runs), tuple(cohorts))


def _joined_by(vectors: Array, members: Sequence[int], border: float) -> list[list[int]]:
    """Give groups of those that a cosine of unit vectors from the border on joins."""
    kept, at = Union(members), np.asarray(members, int)
    for begin in range(0, len(at), _ROWS):
        cosines = vectors[at[begin : begin + _ROWS]] @ vectors[at].T
        for i, j in np.argwhere(cosines >= border):
            if begin + i < j:
                kept.join(int(at[begin + i]), int(at[j]))
    return kept.groups()


def _runs(held: HeldAdapters, base: str, group: Sequence[int]) -> list[Run]:
    """Give the runs among adapters that may be of one, by their exact cosines."""
    dtype = "float64" if len(group) <= _EXACT else "float32"
    block = stacked((held.adapter(at) for at in group), dtype)
    cosine = products(block, block).cosine
    kept = Union(range(len(group)))
    for i, j in np.argwhere(cosine >= ONE_RUN):
        kept.join(int(i), int(j))
    return [
        _run(held.library, base, [group[n] for n in one], cosine[np.ix_(one, one)])
        for one in kept.groups()
        if len(one) > 1
    ]


def _run(library: Library, base: str, group: Sequence[int], cosine: Array) -> Run:
    entries = [library.entries[at] for at in group]
    norms = np.array([entry.norm for entry in entries])
    squares = norms[:, None] ** 2 + norms**2 - 2.0 * np.outer(norms, norms) * cosine
    far = np.sqrt(np.maximum(0.0, squares))
    members = []
    for n, before in _tree(far, int(np.argmin(norms))):
        name = library.names[group[n]]
        members.append(
            RunMember(
                name, entries[n].given, entries[n].norm,
                None if before is None else library.names[group[before]],
                float("nan") if before is None else float(cosine[n, before]),
                float("nan") if before is None else float(far[n, before] / norms[n]),
                _step(name),
            )
        )  # fmt: skip
    steps = [one.step for one in members if one.step is not None]
    told = len(set(steps)) == len(members)
    return Run(base, tuple(members), steps == sorted(steps) if told else None)


def _tree(far: Array, first: int) -> list[tuple[int, int | None]]:
    """Give the minimum spanning tree from its root on: each with the one it is tied to."""
    found: list[tuple[int, int | None]] = [(first, None)]
    least, to = far[first].copy(), np.full(len(far), first)
    rest = set(range(len(far))) - {first}
    while rest:
        n = min(rest, key=lambda one: (least[one], one))
        found.append((n, int(to[n])))
        rest.remove(n)
        closer = far[n] < least
        least, to = np.where(closer, far[n], least), np.where(closer, n, to)
    return found


def _step(name: str) -> int | None:
    found = re.search(r"(\d+)$", name)
    return int(found[1]) if found else None


def _cohorts(held: HeldAdapters, base: str, live: Sequence[int]) -> list[Cohort]:
    """Give those that share a start of A, each tie of which is confirmed exactly."""
    library, found = held.library, []
    for rank in sorted({library.entries[at].rank for at in live}):
        own = [at for at in live if library.entries[at].rank == rank]
        for group in _joined_by(library.starts, own, _SHARED):
            first = group[0]
            ties = {at: start_cosine(held.adapter(first), held.adapter(at)) for at in group[1:]}
            kept = [at for at in group[1:] if ties[at] >= _CONFIRMED]
            if kept:
                names = tuple(library.names[at] for at in (first, *kept))
                found.append(Cohort(base, rank, names, min(ties[at] for at in kept)))
    return found


def start_cosine(x: Adapter, y: Adapter) -> float:
    """Give the cosine of two adapters' A factors as they are held, over modules of one shape."""
    inner, squares = 0.0, [0.0, 0.0]
    for key in (key for key in x if key in y):
        a, b = (_start(one, key) for one in (x, y))
        if a.shape == b.shape:
            inner += float(np.vdot(a, b))
            squares = [squares[0] + float(np.vdot(a, a)), squares[1] + float(np.vdot(b, b))]
    return inner / float(np.sqrt(np.prod(squares))) if min(squares) > 0.0 else 0.0


def _start(adapter: Adapter, key: str) -> Array:
    terms = formed(nonzero(adapter[key].terms))
    return np.concatenate([np.asarray(to_numpy(upcast(t.A, "float64"))) for t in terms])
