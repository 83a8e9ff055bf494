"""What is shown of many adapters: clusters, and a map of cosines in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from superpose.interference.borders import LARGE
from superpose.interference.clusters import clusters_of
from superpose.interference.figures import COSINE
from superpose.shown import Column, Heat, Line, Part, Table

Array: TypeAlias = Any

ON_A_MAP = 24
"""Adapters of a heat map: those of the largest clusters."""

_NAMED = 8

_COLUMNS = (
    Column("cluster", lambda row: row[0]),
    Column("adapters", lambda row: row[1], ",d"),
    Column("which", lambda row: row[2], prose=True),
)


def as_many(
    names: Sequence[str], cosine: Array, multiple: Array, most: int = ON_A_MAP
) -> tuple[Part, ...]:
    """Give clusters and a heat map of many adapters.

    cosine, multiple (K, K): of pairs, and in multiples of the floor; NaN where there is none, and
    on the diagonal. most: adapters of the map.
    """
    clusters = clusters_of(cosine)
    several = [one for one in clusters if len(one) > 1]
    alone = sum(len(one) == 1 for one in clusters)
    stand, theirs = ("stands", "its") if alone == 1 else ("stand", "theirs")
    said = f"{alone:,} of {len(names):,} adapters {stand} alone: no cosine of {theirs} reaches "
    said += f"{LARGE}."
    rows = [(n + 1, len(one), _named([names[at] for at in one])) for n, one in enumerate(several)]
    parts: list[Part] = []
    if rows:
        about = f"Joined by cosines of {LARGE} or more in size. {said if alone else ''}".strip()
        parts.append(Table.of("Clusters", _COLUMNS, rows, about))
    else:
        parts.append(Line(said))
    order = [at for one in clusters for at in one][:most]
    shown = tuple(names[at] for at in order)
    values = tuple(tuple(None if i == j else float(multiple[i, j]) for j in order) for i in order)
    fewer = f", {len(order)} of {len(names):,}" if len(order) < len(names) else ""
    title = (
        f"Cosine of each pair in multiples of its floor, in the order of the clusters{fewer} "
        "(unrelated adapters: about -1 to 1)"
    )
    return (*parts, Heat(title, "adapter", shown, shown, values, COSINE))


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
