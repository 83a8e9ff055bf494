"""Ask what regmean needs of the inputs: every way on every sum, one file each.

A way's test losses come from the adapter that regmean, or SSR, makes of one kind of statistics;
what is finished is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from benchmarks.methods.beside import scored
from benchmarks.methods.measured_inputs import MeasuredOnce
from benchmarks.methods.sums import first_rows
from benchmarks.methods.ways import WAYS_OF_INPUTS, InputsOn, InputsWay, inputs_on
from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter, met
from superpose.compose import RegMean, Ssr, merge
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput
from superpose.measure.fitted import fitted_within
from superpose.model.superposed import tree_of_loaded

__all__ = ["ask_missing", "asker", "taken_apart"]

_METHODS = {"regmean": RegMean, "ssr": Ssr}


def ask_missing(field: Field, jobs: Jobs = 1) -> None:
    """Ask what does not lie in the folder yet; the caller holds the folder's lock."""
    todo = [each for each in inputs_on(field) if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(field, each) for each in todo], asker, jobs)


@contextmanager
def asker(field: Field) -> Iterator[Callable[[InputsOn], None]]:
    """Give the function that asks one way on one sum."""
    measured = MeasuredOnce(field)

    def do(each: InputsOn) -> None:
        started = time.perf_counter()
        way = WAYS_OF_INPUTS[each.way]
        loaded = [trained(field, "main", each.seed, name) for name in each.domains]
        parents = met(loaded, tree_of_loaded(field.base.model))
        adapters: Sequence[Adapter] = parents
        weights = np.ones((len(parents), len(parents)))
        about: dict[str, object] = {}
        if each.way == "own":
            weights = np.eye(len(parents))
        elif way.inputs is not None:
            statistics = measured.of(each, way, parents)
            about["rows"] = [found.rows for found in statistics]
            adapters, about["weights"] = _merged(field, each, way, parents, statistics)
            weights = np.ones((len(parents), 1))
        found = scored(field, each.domains, adapters, weights)
        seconds = round(time.perf_counter() - started, 1)
        said = {"way": each.way, "seed": each.seed, "domains": each.domains, "seconds": seconds}
        field.folder.write(each.file, said | about | found)

    yield do


def _merged(
    field: Field,
    each: InputsOn,
    way: InputsWay,
    parents: Sequence[Adapter],
    statistics: tuple[InputStatistics, ...],
) -> tuple[list[Adapter], list[float]]:
    """Give what the way makes of the parents, and the mean of the weights on top of each."""
    method = _METHODS[way.method](statistics, ridge=way.ridge)
    merged = merge(parents, None, method)
    if way.by is None:
        return [merged], [1.0] * len(parents)
    apart = taken_apart(merged, parents)
    rows = first_rows(field, each.domains, "calibration")
    work = way.passes * sum(map(len, rows.values()))
    fitted, _ = fitted_within(field.base.model, apart, rows, 1.0, way.by, work)
    means = [float(np.mean(list(one.values()))) for one in fitted.weights]
    return [merge(apart, None, fitted)], digits(np.array(means), 5)


def taken_apart(merged: Adapter, parents: Sequence[Adapter]) -> list[Adapter]:
    """Give each parent's part of what a regression made of them: their sum is the whole.

    Raises BadInput where a parent has no term of its own in some module.
    """
    parts = []
    for place, parent in enumerate(parents):
        deltas = {}
        for module, delta in merged.items():
            if len(delta.terms) != len(parents):
                raise BadInput("an adapter changes nothing in this module", where=module)
            deltas[module] = replace(delta, terms=(delta.terms[place],))
        parts.append(Adapter(deltas, name=parent.name, base_model=parent.base_model))
    return parts


def _work(field: Field, each: InputsOn) -> float:
    way = WAYS_OF_INPUTS[each.way]
    rows = first_rows(field, each.domains, "test")
    tokens = sum(row.length for domain in rows.values() for row in domain)
    return float(tokens) * (1.0 + 0.5 * way.passes + 0.2 * (way.inputs is not None))
