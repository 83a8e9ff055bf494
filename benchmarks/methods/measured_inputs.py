"""What goes into the modules on some of a domain's rows, measured once for neighbouring ways."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.methods.ways import InputsOn, InputsWay
from benchmarks.prediction.adapters import Training
from benchmarks.prediction.field import Field
from superpose.adapter import Adapter
from superpose.data.input_statistics import InputStatistics
from superpose.data.prompt import Example
from superpose.files.file_format import INPUT_STATISTICS
from superpose.lowrank.second_moment import SecondMoment
from superpose.measure.inputs import measure_inputs
from superpose.model import SuperposedModel
from superpose.verbs.kept_statistics import keep_statistics

__all__ = ["MeasuredOnce", "first_and_more", "joined_moments"]


class MeasuredOnce:
    """Measures inputs; keeps those of one kind, and adds rows to them where more are asked for."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._kind = ""
        self._held: dict[tuple[str, int], tuple[int, InputStatistics]] = {}

    def of(
        self, each: InputsOn, way: InputsWay, parents: Sequence[Adapter]
    ) -> tuple[InputStatistics, ...]:
        """Give each parent's statistics, as the way has them."""
        asked = [
            self._of_domain(domain, each, way, parents) for domain in _whose(each, way, self.field)
        ]
        if way.directions is None:
            return tuple(asked)
        cut = {id(found): found.sketched(way.directions) for found in asked}
        return tuple(cut[id(found)] for found in asked)

    def _of_domain(
        self, domain: str, each: InputsOn, way: InputsWay, parents: Sequence[Adapter]
    ) -> InputStatistics:
        if way.inputs == "carried":
            return InputStatistics.load(carried(self.field, domain, each.seed))
        if self._kind != way.inputs:
            self._kind, self._held = str(way.inputs), {}
        # What goes into the bare base does not depend on the adapters' seed.
        own = way.inputs == "own"
        key = domain, each.seed if own else -1
        if key not in self._held or self._held[key][0] > way.rows:
            self._held.pop(key, None)
        adapters = [parents[each.domains.index(domain)]] if own else []
        self._held[key] = first_and_more(
            self._rows(domain, way), way.rows, self._held.get(key),
            self.field.base.model, adapters, parents[0].modules,
        )  # fmt: skip
        return self._held[key][1]

    def _rows(self, domain: str, way: InputsWay) -> list[Example]:
        part = "train" if way.inputs == "training" else "calibration"
        rows = self.field.examples(domain, part)
        if way.inputs == "questions":
            # The last token of a row is never read, so one of the answer has to stay.
            rows = [replace(row, answer=row.answer[:1]) for row in rows]
        return rows


def first_and_more(
    examples: Sequence[Example],
    rows: int,
    held: tuple[int, InputStatistics] | None,
    model: nn.Module,
    adapters: Sequence[Adapter],
    modules: Sequence[str],
) -> tuple[int, InputStatistics]:
    """Give the number of rows wanted and the statistics of that many first examples.

    held: the same of fewer rows; only what is missing is measured. adapters: at work meanwhile.
    """
    known = 0 if held is None else min(held[0], len(examples))
    parts = [] if held is None else [held[1]]
    more = examples[known:rows]
    if more:
        at_one = [1.0] * len(adapters)
        with SuperposedModel(model, adapters) as added, added.at(at_one) as weighted:
            parts.append(measure_inputs(weighted, modules, more))
        parts = [joined_moments(parts)]
    return rows, parts[0]


def joined_moments(parts: Sequence[InputStatistics]) -> InputStatistics:
    """Give the whole second moments over the tokens of all parts, in single precision."""
    tokens = sum(part.tokens for part in parts)
    made: dict[int, SecondMoment] = {}
    for module, moment in parts[0].items():
        if id(moment) not in made:
            total = np.zeros((moment.size, moment.size))
            for part in parts:
                whole = part[module].whole
                assert whole is not None
                total += part.tokens / tokens * whole
            made[id(moment)] = SecondMoment.of(total.astype(np.float32))
    moments = {module: made[id(moment)] for module, moment in parts[0].items()}
    return InputStatistics(moments, parts[0].base_model, sum(part.rows for part in parts), tokens)


def carried(field: Field, domain: str, seed: int) -> Path:
    """Give a copy of an adapter's folder with what `train --statistics` leaves beside it.

    It is that of the bare base on the training rows, whatever the seed: a domain has one.
    """
    folder = field.folder.path / "carried" / domain
    if not (folder / INPUT_STATISTICS).is_file():
        adapter = field.folder.path / Training("main", seed, domain).file
        shutil.copytree(adapter, folder, dirs_exist_ok=True)
        keep_statistics(field.base, field.examples(domain, "train"), folder, 0, None)
    return folder


def _whose(each: InputsOn, way: InputsWay, field: Field) -> list[str]:
    """Name the domain whose statistics each member has."""
    members = list(each.domains)
    if way.of == "next":
        return [*members[1:], members[0]]
    if way.of == "outside":
        others = [name for name in field.names if name not in members]
        return [others[place % len(others)] for place in range(len(members))]
    return members
