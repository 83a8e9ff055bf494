"""What a merge method makes of a subset of a study's adapters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from superpose.adapter import Adapter, met
from superpose.compose import FROM_DATA, METHODS, RegMeanTuned, merge
from superpose.compose.from_inputs import FromInputs
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.measure.finer import FEWEST_FITTED, finer_work
from superpose.measure.fitted import fitted_on_top
from superpose.measure.inputs import measure_inputs
from superpose.model.superposed import tree_of_loaded
from superpose.studies.cells import MERGED_BY, StudyCell
from superpose.studies.opened import OpenedStudy

__all__ = ["check_calibration", "merged_by", "merging_tokens"]

_FEWEST = dict.fromkeys(FROM_DATA, 1) | {RegMeanTuned.name: FEWEST_FITTED}
"""Calibration rows of each domain that a method cannot do without."""


def check_calibration(study: OpenedStudy) -> None:
    """Raise BadInput, naming the domain, for fewer calibration rows than a method asks for."""
    for method in study.spec.methods:
        for domain, rows in study.calibration_examples.items():
            if len(rows) < (least := _FEWEST.get(method, 0)):
                raise BadInput(
                    f"`{method}` needs {least} calibration rows, and there are {len(rows)}",
                    where=f"domains.{domain}",
                    hint="Raise calibration_rows; they are what training and test rows leave over.",
                )


def merging_tokens(study: OpenedStudy, cell: StudyCell) -> float:
    """Give the work of merging by a cell's method in forward tokens; none without rows."""
    if cell.method not in MERGED_BY or cell.method not in FROM_DATA:  # `tuned` is by forecast
        return 0.0
    rows = _rows(study, cell)
    tokens = _tokens(rows)
    if cell.method == RegMeanTuned.name:
        tokens += finer_work(rows) * _a_row(rows)
    return tokens


def merged_by(study: OpenedStudy, cell: StudyCell, progress: Callable[[float], None]) -> Adapter:
    """Merge by a cell's method at its own settings; statistics are the calibration rows'.

    They are those of the base model, which no seed changes; a pass over a few rows, made anew for
    each cell, so that whoever does it, in whatever order, gives the same. Weights on top are
    fitted to the same rows. progress: called with forward tokens done, `merging_tokens` in all.
    """
    assert cell.seed is not None
    of_seed = {adapter.name: adapter for adapter in study.adapters(cell.seed)}
    parts = [of_seed[name] for name in cell.domains]
    model, rows = study.base.model, _rows(study, cell)
    tree = tree_of_loaded(model)
    method = {**METHODS, **FROM_DATA}[cell.method]()
    if isinstance(method, FromInputs):
        modules = tuple(dict.fromkeys(module for part in parts for module in part))
        found = tuple(measure_inputs(model, modules, of_domain) for of_domain in rows.values())
        method = replace(method, statistics=found)
        progress(_tokens(rows))
    if isinstance(method, RegMeanTuned):
        ones, each = [1.0] * len(parts), _a_row(rows)
        method = fitted_on_top(
            model, met(parts, tree), rows, method, ones, cell.seed, lambda n: progress(n * each)
        )
    return merge(parts, None, method, tree=tree)


def _rows(study: OpenedStudy, cell: StudyCell) -> dict[str, list[Example]]:
    return {name: study.calibration_examples[name] for name in cell.domains}


def _tokens(rows: Mapping[str, Sequence[Example]]) -> float:
    return float(sum(row.length for of_domain in rows.values() for row in of_domain))


def _a_row(rows: Mapping[str, Sequence[Example]]) -> float:
    return _tokens(rows) / math.fsum(map(len, rows.values()))
