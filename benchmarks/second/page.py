"""The second tournament's part of docs/prediction.md, from its record: no figure is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.as_the_paper import as_the_paper
from benchmarks.prediction.markdown import figure, nats, spearman, table, yes_or_no
from benchmarks.prediction.tables import leads, sizes, standing
from benchmarks.second.accuracy import BOUNDS, FORETOLD
from benchmarks.second.page_beside import norms_page, signs_page
from benchmarks.second.page_coverage import coverage_page
from benchmarks.second.rows import RECORD

__all__ = ["second_page", "second_run"]

HEAD = """\
# The second run

Registered before it ran (`benchmarks/second/REGISTERED.md`): domains, sums, questions and bounds.
Made by `python -m benchmarks.second judge`; whoever has `benchmarks/results/second.json` and the
row losses in `second.npz` makes the same again with `python -m benchmarks.second again`, without a
model. All five multiple-choice sets that there are, of which three are new, and one drawn domain:
four of the six are trivia of one source, alike in form, so domains are no independent units.

Base `smollm2` (tuned for instructions, held in four bits (Q4_1) and dequantised, asked without its
chat template); rank 4, alpha 64, 24 optimiser steps an adapter. Short answers have twice as many
calibration rows as the first run gave them, and still fewer tokens than the 1,500 that were wished
for: that would have taken more than 300 rows.
"""

INTERVALS = """\
Brackets are those of the first run: domains and seeds drawn, each by themselves (Owen 2007). With
one seed domains alone are drawn. All of these seeds share calibration and test rows.
"""

EVALUATED = """\
*Sum evaluated* is the very sum on the calibration rows, *pairs evaluated* what each other adapter
does alone, added up: measurements both, charged for values. Lambda space is fitted to values and
slopes of base, own adapter, pairs and the sum of all, so that what it says of a pair, and of the
sum of all, is a measurement too; of triples and quadruples it is a forecast.
"""

PASSES = """\
What a forecast costs beside evaluating, in forward passes a calibration row (a gradient is two).
To judge one sum, evaluating is cheaper always; for every sum that holds a domain's own adapter a
forecast pays from {own} adapters on, for all subsets from {every} on. What a forecast has beyond
that are other weights than 1, slopes, and shares by module.
"""

MAP_DESIGN = """
*MAP, one merge* is at the design of its paper, on the triples: as many values as a quadratic of
three weights has coefficients, on all calibration rows; its tokens are of all of a domain."""

FORMS = """\
*Measured* is of lambda space as it was registered: one coefficient of all triple products met the
sum of all. Once seeds 0 and 1 had been counted, that it foretold sums of three and four too high, a
loss of what several others do together that saturates took its place
([how](mathematics.md#lambda-space)). *Now* is that, in this table and in those above; what it says
of seeds 0 and 1 is no test of it, of *new seeds* it is.
"""

RIGHT = """\
Shares of right answers on test rows, for sums of three and four on the multiple-choice sets:
foretold as `predict` does, and by a plain polynomial of each question's margin, from values and
slopes at the design points (64 questions), beside the very sum on all calibration questions, and
beside what the own adapter reaches there, which knows nothing of the sum. Registered: Spearman at
least 0.8, mean error at most 5 points. Of which way of foretelling was not registered: neither of
the first two was named beforehand as the one that counts, so both stand here, and the bounds are
held against each. No forecast from 64 questions can be expected to be nearer to other questions
than the sum evaluated on those 64: where that is as far off, questions are what is missing. Then
the own adapter, evaluated on all of them, is worth its one pass; that was thought of afterwards.
"""


def second_run() -> Iterator[str]:
    """Give the part of the page that the committed record makes; nothing where there is none.

    Behind it stands the paper's own figure of all pairs with merged data, those of studies too.
    """
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None
    if record:
        yield from second_page(record)
    yield from as_the_paper(record)


def second_page(record: Mapping[str, Any]) -> Iterator[str]:
    """Give everything that is shown of a record."""
    yield HEAD
    yield from _played(record)
    for group, title in (("all", "## Second run: all sums"), ("pairs", "## Second run: pairs")):
        if record["groups"][group]:
            yield title + "\n"
            yield from table(*standing(record, group))
    yield EVALUATED
    yield _entered(record)
    yield INTERVALS
    yield from sizes(record)
    yield from _bounds(record)
    yield from _passes(record)
    yield from coverage_page(record)
    yield from _right(record)
    yield from signs_page(record)
    yield from norms_page(record)


def _played(record: Mapping[str, Any]) -> Iterator[str]:
    seeds, left_out = record["seeds"], record["about"]["left_out"]
    said = f"Seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"Seed {seeds[0]}"
    if left_out:
        said += f"; not finished, and left out: {', '.join(map(str, left_out))}"
    yield said + ".\n"
    yield from _begun(record)
    head = ["domain", "base (nats)", "own adapter, by seed", "calibration", "test"]
    rows = [
        [name, nats(each["base"]), ", ".join(map(nats, each["own"]))]
        + [_counted(each["rows"][part]) for part in ("calibration", "test")]
        for name, each in record["domains"].items()
    ]
    yield from table([*head[:3], *(f"{part}: rows, answer tokens, cut" for part in head[3:])], rows)
    head = ["points", "number", "sums", "mean (nats)", "deviation", "least", "most", "harmed"]
    rows = [
        [name, str(found["n"]), str(found["sums"])]
        + [f"{found[key]:+.4f}" for key in ("mean", "spread", "least", "most")]
        + [f"{100 * found['harmed']:.0f} %"]
        for name, found in record["groups"].items()
        if found
    ]
    yield from table(head, rows)


def _begun(record: Mapping[str, Any]) -> Iterator[str]:
    """Say so where not even one seed is finished."""
    missing = [name for name in record["adapters"] if name not in record["domains"]]
    if missing:
        yield (
            f"**No seed is finished.** Of this one the rows of {', '.join(missing)} are not "
            "measured to the end, so nothing here is a judgement as it was registered: it is what "
            "the other domains show so far, every bound and interval of them alone.\n"
        )


def _counted(part: Mapping[str, int]) -> str:
    return f"{part['rows']}, {part['tokens']:,}, {part['cut']}"


def _entered(record: Mapping[str, Any]) -> str:
    missing = record["not_measured"]
    every = record["groups"]["all"]["n"]
    fewer = {
        each["name"]: found["n"]
        for each in record["predictors"]
        if (found := each["groups"]["all"]) and found["n"] < every
    }
    said = f"{len(record['predictors'])} predictors were entered."
    if fewer:
        those = ", ".join(f"{name} ({count})" for name, count in fewer.items())
        said += f" Of the first seed alone, of so many of the {every} points: {those}."
        said += MAP_DESIGN if "MAP, one merge" in fewer else ""
    return said + (f" Not measured here: {', '.join(missing)}.\n" if missing else "\n")


def _bounds(record: Mapping[str, Any]) -> Iterator[str]:
    """Say of what was registered of lambda space whether it holds, and how far it leads."""
    if not record["promised"]:
        return
    told, now = (record["forms"][form] for form in ("registered", "now"))
    yield "## Second run: what was registered of lambda space\n"
    yield FORMS
    rows = []
    for group in ("triples", "quadruples"):
        if group in told and told[group]["spearman"] is not None:
            kept = yes_or_no(told[group]["spearman"] >= BOUNDS["spearman"])
            ranks = spearman(told[group]), kept, spearman(now[group])
            rows.append([f"Spearman within {group}", "at least 0.8", *ranks])
    share = told["all"]["share"]
    shares = [figure(each["value"], each["interval"]) for each in (share, now["all"]["share"])]
    kept = yes_or_no(0 < share["value"] <= 1 / 3)
    rows.append(["error / mean interference, all sums", "at most 1/3", shares[0], kept, shares[1]])
    head = ["figure", "registered", "measured", "the point value holds", "as it foretells now"]
    yield from table(head, rows)
    head = ["points", "number", "mean", "error", "bias", "error now", "bias now"]
    yield from table(
        head,
        [
            [group, str(was["n"]), f"{was['mean']:+.4f}"]
            + [
                f"{each['error']:.4f}" if key == "error" else f"{each['bias']:+.4f}"
                for each in (was, now[group])
                for key in ("error", "bias")
            ]
            for group, was in told.items()
            if group != "pairs"
        ],
    )
    yield from leads(record)


def _passes(record: Mapping[str, Any]) -> Iterator[str]:
    found = record["passes"]
    pays = {
        kind: min(each["adapters"] for each in found if each["forecast"] < each[kind])
        for kind in ("own", "every")
    }
    yield "## From how many adapters on a forecast pays\n"
    yield PASSES.format(**pays)
    keys = ("adapters", "forecast", "one", "own", "every")
    head = ["adapters", "lambda space", "one sum", "all that hold the own adapter", "all subsets"]
    yield from table(head, [[str(each[key]) for key in keys] for each in found])


def _right(record: Mapping[str, Any]) -> Iterator[str]:
    found = record["right"]
    if found is None:
        return
    yield "## Second run: right answers\n"
    yield RIGHT
    called = {
        "predicted": "`predict`, question by question",
        "foretold": "a polynomial of each margin",
        "anchored": "the own adapter on all, and the change that `predict` foretells",
        "evaluated": "the sum evaluated on the calibration rows",
        "same": "the sum evaluated on the 64 questions that forecasts see",
        "own": "the own adapter alone",
    }
    rows = [
        [
            called[way],
            spearman(each),
            f"{each['points']:.1f}",
            f"{each['bias']:+.1f}",
            _kept(each) if way in FORETOLD else "",
        ]
        for way, each in found["ways"].items()
    ]
    head = ["told by", "Spearman", "mean error (points)", "bias (points)", "within both bounds"]
    yield from table(head, rows)
    yield f"{found['n']} points.\n"


def _kept(way: Mapping[str, Any]) -> str:
    ranked = way["spearman"] is not None and way["spearman"] >= BOUNDS["spearman"]
    return yes_or_no(bool(ranked and way["points"] <= BOUNDS["points"]))
