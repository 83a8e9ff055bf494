"""Judge the merge methods: the record, from row losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.methods import records
from benchmarks.methods.beside import NAIVE
from benchmarks.methods.comparing import compared, figure, sums_of
from benchmarks.methods.contending import contendings
from benchmarks.methods.judge_inputs import INPUT_ROWS, judged_inputs
from benchmarks.methods.records import recorded, write_recorded
from benchmarks.methods.resampled import Resampled
from benchmarks.methods.rows import (
    Cell,
    Measurements,
    cell_of,
    collected,
    counting,
    kept,
    played,
    recorded_rows,
    unfinished_seeds,
)
from benchmarks.methods.sums import FEWEST_DRAWN, drawn_sums
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs
from benchmarks.result import stamp
from superpose.errors import BadInput
from superpose.measure.contenders import CONTENDERS
from superpose.statistics.shares import clopper_pearson

__all__ = ["again", "judge", "judged_rows"]


def judge(field: Field, jobs: Jobs = 1) -> None:
    """Judge the seeds that are finished; write row losses, record and page. jobs: of no use here.

    Where none is, the sums that are. What an earlier judgement has put on record counts too: an
    arena can be played sum by sum, on one machine after another; row losses of sums that do not
    count yet are kept for a later one. Raises BadInput where no sum is finished.
    """
    collection, before = collected(field), recorded(records.ARENA)
    chosen = _chosen(field, collection, before["about"]["chosen"] if before else [])
    kept(collection)
    found = recorded_rows()
    about = {
        **played(field),
        "unfinished": unfinished_seeds(field, found),
        "drawn": sum(len(drawn_sums(field, seed)) for seed in field.tournament.seeds),
        "chosen": chosen,
        "measured_with": stamp(),
    }
    write_recorded(records.ARENA, judged_rows(counting(field, found), about))


def again(field: Field, jobs: Jobs = 1) -> None:
    """Judge anew from the recorded row losses, methods and inputs, of what was judged before.

    Raises BadInput where nothing was.
    """
    arena, inputs = recorded(records.ARENA), recorded(records.INPUTS)
    if arena is None and inputs is None:
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.methods judge")
    if arena is not None:
        found = counting(field, recorded_rows())
        write_recorded(records.ARENA, judged_rows(found, arena["about"]))
    if inputs is not None:
        write_recorded(records.INPUTS, judged_inputs(recorded_rows(INPUT_ROWS), inputs["about"]))


def judged_rows(found: Measurements, about: Mapping[str, Any]) -> dict[str, Any]:
    """Give the record: everything that row losses tell. about: what they do not tell."""
    sums = sums_of(found)
    ways = list(dict.fromkeys(cell.way for cell in found if cell.condition == "main"))
    resampled = Resampled(found, sums, NAIVE, FEWEST_DRAWN)
    return {
        "about": dict(about),
        "sums": [_sum(found, cell, ways) for cell in sums],
        "ways": {way: _way(found, way, sums, resampled) for way in ways},
        "gap": _gap(found, sums),
        "gaps": {
            str(size): _gap(found, [cell for cell in sums if len(cell.domains) == size])
            for size in sorted({len(cell.domains) for cell in sums})
        },
        "sizes": {
            str(size): {way: resampled.gap_closed(way, those).to_json() for way in ways}
            for size in sorted({len(cell.domains) for cell in sums})
            if (those := [cell for cell in sums if len(cell.domains) == size])
        },
        "told_apart": _told_apart(found, [way for way in ways if way in CONTENDERS], sums),
        "same_a": _same_a(found),
        "against": {
            other: _against(found, "regmean", other, sums)
            for other in ("tuned", "merged-epochs", "merged-steps")
        },
        "own_against": _against(found, "own", "merged-epochs", sums),
    }


def _sum(found: Measurements, cell: Cell, ways: Sequence[str]) -> dict[str, Any]:
    figures = {way: round(figure(found, cell._replace(way=way)), 5) for way in ways}
    return {"seed": cell.seed, "domains": cell.domains, "nats": figures}


def _gap(found: Measurements, sums: Sequence[Cell]) -> dict[str, Any]:
    """Give what naive sums lose against own adapters. A tie: nothing that could be closed."""
    lost = compared(found, NAIVE, "own", sums)
    none = lost.tie or lost.difference <= 0
    return {"nats": _round(lost.difference), "error": _round(lost.error), "none": none}


def _way(
    found: Measurements, way: str, sums: Sequence[Cell], resampled: Resampled
) -> dict[str, Any]:
    """Give a way's figures over all sums, beside the naive sum, that at its best scale and 1/K."""
    beside, scaled = (compared(found, way, other, sums) for other in (NAIVE, "sum"))
    return {
        "nats": _round(np.mean([figure(found, cell._replace(way=way)) for cell in sums])),
        "gap_closed": resampled.gap_closed(way, sums).to_json(),
        "less_than_naive": _round(beside.difference),
        "error": _round(beside.error),
        "tie": beside.tie and way != NAIVE,
        "less_than_scaled": {
            "nats": _round(scaled.difference),
            "error": _round(scaled.error),
            "tie": scaled.tie and way != "sum",
        },
        "better": _better(found, way, NAIVE, sums),
        "better_than_average": _better(found, way, "averaged", sums),
    }


def _better(found: Measurements, way: str, other: str, sums: Sequence[Cell]) -> dict[str, Any]:
    hits = sum(
        figure(found, cell._replace(way=way)) < figure(found, cell._replace(way=other))
        for cell in sums
    )
    interval = clopper_pearson(hits, len(sums))
    return {"hits": hits, "of": len(sums), "interval": [_round(end) for end in interval]}


def _told_apart(found: Measurements, ways: Sequence[str], sums: Sequence[Cell]) -> dict[str, Any]:
    pairs = {pair: compared(found, *pair, sums) for pair in combinations(ways, 2)}
    apart = [pair for pair, found in pairs.items() if not found.tie]
    return {"pairs": len(pairs), "apart": len(apart), "ties": sorted(set(pairs) - set(apart))}


def _same_a(found: Measurements) -> dict[str, Any]:
    """Give the methods' figures where adapters started from one A, beside the scaled sum's."""
    sums = sums_of(found, "same-a")
    ways = dict.fromkeys(cell.way for cell in found if cell.condition == "same-a")
    said = {}
    for way in ways:
        beside = compared(found, way, "sum", sums)
        nats = np.mean([figure(found, cell._replace(way=way)) for cell in sums])
        said[way] = {
            "nats": _round(nats),
            "less_than_scaled": _round(beside.difference),
            "error": _round(beside.error),
        }
    return said


def _against(found: Measurements, way: str, other: str, sums: Sequence[Cell]) -> dict[str, Any]:
    """Give a way beside another: in how many sums it is better, and the union's perplexities."""
    pairs = [cell for cell in sums if len(cell.domains) == 2]
    ratios = [
        _union(found, cell._replace(way=way)) / _union(found, cell._replace(way=other))
        for cell in pairs
    ]
    said: dict[str, Any] = {"better": _better(found, way, other, sums)}
    return said | ({"pairs_union_ratio": _round(np.mean(ratios))} if ratios else {})


def _union(found: Measurements, cell: Cell) -> float:
    """Give the perplexity on the members' rows taken together."""
    rows = found[cell].values()
    return float(np.exp(sum(r.nll.sum() for r in rows) / sum(r.tokens.sum() for r in rows)))


def _chosen(
    field: Field, found: Measurements, before: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give what was chosen for every method and sum, and what it took.

    before: what the record says of it, for sums whose files are not in the folder.
    """
    identity = ("sum", "seed", "method", "condition")
    known = {tuple(each[key] for key in identity): dict(each) for each in before}
    said = []
    for each in contendings(field):
        if cell_of(each) not in found:
            continue
        about = {"sum": "+".join(each.domains), "seed": each.seed, "method": each.method}
        if (field.folder.path / each.file).exists():
            content: Any = field.folder.read(each.file)
            kept_keys = ("condition", "settings", "scale", "passes", "rank", "bytes", "merging")
            said.append(about | {key: content[key] for key in kept_keys})
        else:
            said.append(known[about["sum"], each.seed, each.method, each.condition])
    return said


def _round(value: Any) -> float:
    return float(f"{float(value):.5g}")
