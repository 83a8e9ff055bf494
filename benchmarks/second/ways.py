"""Test rows under what was trained in the adapters' place: longer and faster, or on merged data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.beside import Beside
from benchmarks.methods.sums import drawn_sums
from benchmarks.prediction.field import Field
from benchmarks.second.signs import signs

__all__ = ["BUDGETS", "MERGED", "SIGNS", "Place", "Ways", "lying_ways"]

Array: TypeAlias = NDArray[np.float64]

SIGNS, MERGED = "signs", "merged"
"""A pair trained at each rate for each number of epochs; and pairs' merged data, as
`benchmarks.methods beside` trains on them."""

BUDGETS = ("merged-epochs", "merged-steps")
"""An adapter trained on merged data: for as many epochs as each single one, or as many steps."""


class Place(NamedTuple):
    """kind: `signs` or `merged`. name: such as `0.001-3`, `0-music+world`. domain: whose rows."""

    kind: str
    name: str
    domain: str


@dataclass(frozen=True, eq=False)
class Ways:
    """One domain's test rows: tokens of each answer (R,), and its nats (R,) under every way."""

    tokens: NDArray[np.int64]
    nll: Mapping[str, Array]


def lying_ways(field: Field) -> Iterator[tuple[Place, Ways]]:
    """Read all that lies in the folder."""
    for each in signs():
        if (field.folder.path / each.file).exists():
            content: Any = field.folder.read(each.file)
            for domain, rows in content["domains"].items():
                nll = dict(zip(content["ways"], rows["nll"], strict=True))
                yield Place(SIGNS, each.setting, domain), _ways(rows, nll)
    for seed in field.tournament.seeds:
        for pair in drawn_sums(field, seed):
            if len(pair) == 2:
                yield from _merged(field, seed, pair)


def _merged(field: Field, seed: int, pair: tuple[str, ...]) -> Iterator[tuple[Place, Ways]]:
    files = {way: Beside(way, seed, pair).file for way in BUDGETS}
    there = {w: file for w, file in files.items() if (field.folder.path / file).exists()}
    read: dict[str, Any] = {way: field.folder.read(file) for way, file in there.items()}
    for domain in pair if read else ():
        tokens = next(iter(read.values()))["tokens"][domain]
        nll = {way: content["nll"][domain] for way, content in read.items()}
        yield Place(MERGED, f"{seed}-{'+'.join(pair)}", domain), _ways({"tokens": tokens}, nll)


def _ways(rows: Mapping[str, Any], nll: Mapping[str, Any]) -> Ways:
    return Ways(
        np.asarray(rows["tokens"], dtype=np.int64),
        {way: np.asarray(values, dtype=np.float64) for way, values in nll.items()},
    )
