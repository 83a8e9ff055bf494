"""What a merge method makes of a subset of a study's adapters."""

from __future__ import annotations

from dataclasses import replace

from superpose.adapter import Adapter
from superpose.compose import FROM_DATA, METHODS, merge
from superpose.compose.from_inputs import FromInputs
from superpose.measure.inputs import measure_inputs
from superpose.model.superposed import tree_of_loaded
from superpose.studies.cells import StudyCell
from superpose.studies.opened import OpenedStudy

__all__ = ["merged_by"]


def merged_by(study: OpenedStudy, cell: StudyCell) -> Adapter:
    """Merge by a cell's method at its own settings; statistics are the calibration rows'.

    They are those of the base model, which no seed changes; a pass over a few rows, made anew for
    each cell, so that whoever does it, in whatever order, gives the same.
    """
    assert cell.seed is not None
    parts = [each for each in study.adapters(cell.seed) if each.name in cell.domains]
    method = {**METHODS, **FROM_DATA}[cell.method]()
    if isinstance(method, FromInputs):
        modules = tuple(dict.fromkeys(module for part in parts for module in part))
        model, rows = study.base.model, study.calibration_examples
        found = (measure_inputs(model, modules, rows[part.name]) for part in parts)
        method = replace(method, statistics=tuple(found))
    return merge(parts, None, method, tree=tree_of_loaded(study.base.model))
