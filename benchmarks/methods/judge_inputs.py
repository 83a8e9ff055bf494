"""Judge what regmean needs of the inputs: the record, from row losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.methods import records
from benchmarks.methods.comparing import compared, figure, sums_of
from benchmarks.methods.records import write_recorded
from benchmarks.methods.resampled import Resampled
from benchmarks.methods.rows import Cell, Measurements, kept, read_rows_of, recorded_rows
from benchmarks.methods.sums import CALIBRATION, TEST
from benchmarks.methods.ways import CONDITION, REFERENCE, WAYS_OF_INPUTS, InputsOn, inputs_on
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs
from benchmarks.result import RESULTS, stamp
from superpose.errors import BadInput

__all__ = ["INPUT_ROWS", "judge_inputs", "judged_inputs"]

INPUT_ROWS = RESULTS / "inputs.npz"

NEEDED = ("own", "sum", REFERENCE)
"""Without them nothing can be said of a sum."""


def judge_inputs(field: Field, jobs: Jobs = 1) -> None:
    """Judge what is finished; write row losses, record and page. jobs: of no use here.

    Raises BadInput where there is no sum with own adapters, naive sum and reference.
    """
    every = inputs_on(field)
    done = [each for each in every if (field.folder.path / each.file).exists()]
    whole = {
        (each.seed, each.domains)
        for each in done
        if {one.way for one in done if _of_one_sum(one, each)} >= set(NEEDED)
    }
    if not whole:
        raise BadInput(
            "no sum is measured far enough",
            where=field.folder.path,
            hint="Run: python -m benchmarks.methods inputs",
        )
    those = [each for each in done if (each.seed, each.domains) in whole]
    contents: dict[InputsOn, Any] = {each: field.folder.read(each.file) for each in those}
    kept(
        {
            Cell(CONDITION, each.seed, each.domains, each.way): read_rows_of(content)
            for each, content in contents.items()
        },
        INPUT_ROWS,
    )
    about = {
        "tournament": field.tournament.to_json(),
        "rows": {"calibration": CALIBRATION, "test": TEST},
        "left_out": [[e.way, e.seed, "+".join(e.domains)] for e in every if e not in contents],
        "measured_of": [
            {"way": each.way, "seed": each.seed, "sum": "+".join(each.domains)}
            | {key: content.get(key) for key in ("rows", "weights", "seconds")}
            for each, content in contents.items()
        ],
        "measured_with": stamp(),
    }
    write_recorded(records.INPUTS, judged_inputs(recorded_rows(INPUT_ROWS), about))


def judged_inputs(found: Measurements, about: Mapping[str, Any]) -> dict[str, Any]:
    """Give the record: everything that row losses tell. about: what they do not tell."""
    sums = sums_of(found, CONDITION)
    drawn = Resampled(found, sums)
    ways = [way for way in WAYS_OF_INPUTS if any(cell.way == way for cell in found)]
    return {
        "about": dict(about),
        "sums": [
            {
                "seed": cell.seed,
                "domains": cell.domains,
                "nats": {
                    way: round(figure(found, cell._replace(way=way)), 5)
                    for way in ways
                    if cell._replace(way=way) in found
                },
            }
            for cell in sums
        ],
        "ways": {way: _way(found, way, sums, drawn) for way in ways},
    }


def _way(found: Measurements, way: str, sums: Sequence[Cell], drawn: Resampled) -> dict[str, Any]:
    """Give a way's figures over the sums that it was asked on, beside the reference on these."""
    those = [cell for cell in sums if cell._replace(way=way) in found]
    beside = compared(found, way, "sum", those)
    closed, reference = (drawn.gap_closed(each, those) for each in (way, REFERENCE))
    return {
        "sums": len(those),
        "nats": _short(np.mean([figure(found, cell._replace(way=way)) for cell in those])),
        "less_than_naive": _short(beside.difference),
        "error": _short(beside.error),
        "better_than_naive": sum(
            figure(found, cell._replace(way=way)) < figure(found, cell) for cell in those
        ),
        "gap_closed": closed.to_json(),
        "reference": reference.to_json(),
        "beyond": closed.less(reference).to_json(),
    }


def _of_one_sum(one: InputsOn, other: InputsOn) -> bool:
    return (one.seed, one.domains) == (other.seed, other.domains)


def _short(value: Any) -> float:
    return float(f"{float(value):.5g}")
