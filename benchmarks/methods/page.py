"""The page of the merge methods, made from the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.methods.beside import NAIVE
from benchmarks.methods.page_inputs import inputs_section
from benchmarks.methods.page_registered import registered_section
from benchmarks.methods.sums import FEWEST_DRAWN
from benchmarks.prediction.markdown import table
from benchmarks.readme import README, write_block
from superpose.files import new_file
from superpose.shown.words import counted

__all__ = ["COMMAND", "PAGE", "brief", "page", "write_page"]

COMMAND = "python -m benchmarks.methods"

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"

Record = Mapping[str, Any]


HEAD = """\
# Which merge method?

Made by `python -m benchmarks.methods judge` and `judge-inputs` from `methods.json`, `inputs.json`
and the row losses beside them in `benchmarks/results`, whatever they say. What is asked, and what
counts, was committed before anything was measured: `benchmarks/methods/REGISTERED.md` and
`REGISTERED-INPUTS.md`. Adapters are those of [the second run of predictors](prediction.md): base
`smollm2` (tuned for instructions, held in four bits (Q4_1) and dequantised, asked without its chat
template), rank 4, 24 optimiser steps each; four of the six domains are trivia, alike in form.
"""

NOT_PLAYED = """\
The arena of all methods was not played to its end of any seed yet: nothing is said here of which
method is the best. `superpose compare` asks it of your adapters.
"""

PLAYED = """\
**{apart} of {pairs} pairs of methods can be told apart** at two standard errors, on {sums}.

Every method had {rows[passes]} passes over {rows[calibration]} calibration rows a domain for its
setting and scale, and was measured once on {rows[test]} test rows a domain. Nats: the mean over a
sum's members of nats an answer token, then over sums. Gap closed: the share of what the naive sum
loses against the own adapters that is gone; brackets hold the middle 95 % of 2,000 resamples of
questions and, where there are five or more, of sums, each drawn by themselves; for a share of sums
Clopper and Pearson's interval. A *tie* is nearer than two standard errors. *naive*: every adapter
at task weight 1; *averaged*: at 1/K. Every method has a scale of its own, the sum too: what one
brings beyond one scale stands against `sum`. *No gap*: naive sums lose nothing against the own
adapters that can be told from zero, so there is nothing to close.
"""

TRAINED = """\
Weights are those that `tune` finds from the calibration rows; training is of adapters of the same
rank at the same learning rate. All rows are of the same sums.
"""

BRIEF = """\
What tuned weights gain on test rows, and training in their place, on the same {sums} of
[the arena](docs/methods.md), where {apart} of {pairs} pairs of merge methods can be told
apart.{rest} In brackets 95 % intervals, over questions{too}:
"""

PLAINLY = {
    NAIVE: "the naive sum, each adapter at 1",
    "averaged": "the average, each at 1/K",
    "sum": "one weight for all: the sum at its best scale",
    "tuned": "`tune`: one weight an adapter",
    "by-layer": "`tune --by layer`",
    "by-module": "`tune --by module`",
    "regmean": "`regmean`",
    "calibration": "an adapter trained on the calibration rows alone",
    "fine-tuned": "the naive sum, trained on with the calibration rows",
    "merged-steps": "trained on merged data, as many steps as one parent",
    "merged-epochs": "trained on merged data, as many epochs as one parent",
}
"""Tuned weights and what is trained in their place, by way."""

BESIDE = {NAIVE: "better", "averaged": "better_than_average"}
"""Ways that others are held against, and where the record has in how many sums they are better."""


def write_page(
    arena: Record | None, inputs: Record | None, file: Path = PAGE, readme: Path = README
) -> None:
    """Write the page of the records that there are, and README.md's block of the arena."""
    with new_file(file) as beside:
        beside.write_text(page(arena, inputs), encoding="utf-8")
    if arena is not None:
        write_block(COMMAND, brief(arena), readme)


def brief(arena: Record) -> str:
    """Give what the README says of it: tuned weights, and training in their place."""
    sums = counted(len(arena["sums"]), "sum")
    rest = " No seed of it is finished yet." if _none_finished(arena) else ""
    too = " and sums" if len(arena["sums"]) >= FEWEST_DRAWN else " alone, as these are too few sums"
    said = BRIEF.format(sums=sums, rest=rest, too=too, **arena["told_apart"])
    return "\n".join([said, *_beside(arena)]).strip("\n")


def page(arena: Record | None, inputs: Record | None) -> str:
    """Give the page's Markdown. arena, inputs: None where they were not judged yet."""
    parts = [HEAD]
    parts += [NOT_PLAYED] if arena is None else _arena(arena)
    parts += [] if inputs is None else inputs_section(inputs)
    return "\n".join(parts).rstrip() + "\n"


def _arena(record: Record) -> Iterator[str]:
    apart, about = record["told_apart"], record["about"]
    yield from _unfinished(record)
    sums = f"{len(record['sums'])} of the {counted(about['drawn'], 'sum')} that were drawn"
    yield PLAYED.format(**apart, sums=sums, rows=about["rows"])
    yield from ("## All sums", "")
    yield from _table(record["ways"], record["gap"])
    yield from _by_size(record)
    yield from _trained(record)
    yield from ("## RegMean beside training and tuned weights", "")
    yield from table(
        ["regmean against", "better in", "perplexity of the union, pairs"],
        [
            [other, _share(found["better"]), _ratio(found.get("pairs_union_ratio"))]
            for other, found in record["against"].items()
        ],
    )
    yield from registered_section(record)
    if record["same_a"]:
        yield from ("## Adapters that started from the same A", "")
        alike = [
            [way, f"{f['nats']:.4f}", f"{f['less_than_scaled']:+.4f} ± {f['error']:.4f}"]
            for way, f in record["same_a"].items()
        ]
        yield from table(["", "nats", "against `sum`, at its best scale"], alike)
    yield from ("## Every sum", "", "Nats of some ways; the record has all of them.", "")
    some = ("own", NAIVE, "averaged", "sum", "regmean", "tuned")
    shown = [way for way in some if way in record["ways"]]
    every = [
        [f"{'+'.join(each['domains'])}, seed {each['seed']}"]
        + [f"{each['nats'][way]:.4f}" for way in shown]
        for each in record["sums"]
    ]
    yield from table(["sum", *shown], every)


def _table(ways: Mapping[str, Any], gap: Mapping[str, Any]) -> Iterator[str]:
    head = ["", "nats", "gap closed", "against naive", "better than it in", "against `sum`"]
    rows = []
    for way, found in sorted(ways.items(), key=lambda each: float(each[1]["nats"])):
        naive, scaled = _difference(found, found["less_than_naive"]), found["less_than_scaled"]
        beside = ["", ""] if way == NAIVE else [naive, _share(found["better"])]
        of_sum = "" if way == "sum" else _difference(scaled, scaled["nats"])
        figures = [f"{found['nats']:.4f}", _closed(found["gap_closed"], gap)]
        rows.append([way, *figures, *beside, of_sum])
    yield from table(head, rows)


def _by_size(record: Record) -> Iterator[str]:
    """The share of the gap that is closed, by the number of adapters; of one number it is above."""
    sizes, gaps = record["sizes"], record["gaps"]
    if len(sizes) < 2:
        return
    yield from ("## By the number of adapters", "", "The share of the gap that is closed.", "")
    rows = [[way, *(_closed(sizes[s][way], gaps[s]) for s in sizes)] for way in _order(record)]
    yield from table(["", *(f"{size} adapters" for size in sizes)], rows)


def _trained(record: Record) -> Iterator[str]:
    yield from ("## Tuned weights, and training in their place", "", TRAINED)
    yield from _beside(record)


def _beside(record: Record) -> Iterator[str]:
    """Tuned weights beside training in their place, all of the same sums and seeds."""
    ways, gap = record["ways"], record["gap"]
    yield from table(
        ["", "gap closed", "better than the naive sum in", "than the average in"],
        [
            [called, _closed(ways[way]["gap_closed"], gap)]
            + ["" if way == other else _share(ways[way][key]) for other, key in BESIDE.items()]
            for way, called in PLAINLY.items()
            if way in ways
        ],
    )


def _closed(share: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    """Give a share of the gap with its interval, if it has one; of no gap there is no share."""
    if gap["none"]:
        return "no gap"
    value = f"{100 * share['value']:.0f} %"
    if share["interval"] is None:
        return value
    low, high = (100 * end for end in share["interval"])
    return f"{value} [{low:.0f}, {high:.0f}]"


def _order(record: Record) -> Sequence[str]:
    return sorted(record["ways"], key=lambda way: float(record["ways"][way]["nats"]))


def _difference(found: Mapping[str, Any], nats: float) -> str:
    tie = ", *tie*" if found["tie"] else ""
    return f"{nats:+.4f} ± {found['error']:.4f}{tie}"


def _share(found: Mapping[str, Any]) -> str:
    low, high = (100 * end for end in found["interval"])
    return f"{found['hits']} of {found['of']} [{low:.0f}, {high:.0f}] %"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{100 * (value - 1):+.1f} %"


def _unfinished(record: Record) -> Iterator[str]:
    """Say which seeds are missing, and where all are that this is no judgement."""
    seeds = record["about"]["unfinished"]
    if not seeds:
        return
    if _none_finished(record):
        yield from (
            "**No seed is finished**: nothing of the arena is a judgement as it was registered. It",
            "is what the sums show of which everything is measured, and other sums may show",
            "something else.",
        )
    else:
        yield f"Seeds that are not finished are left out: {', '.join(map(str, seeds))}."
    yield ""


def _none_finished(record: Record) -> bool:
    """Whether the sums are of seeds that are not finished."""
    return bool({each["seed"] for each in record["sums"]} & set(record["about"]["unfinished"]))
