"""docs/prediction.md from the tournament's record: no figure in it is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction.brief import COMMAND, best_without_data, brief, in_short
from benchmarks.prediction.elsewhere import elsewhere
from benchmarks.prediction.judging import BEST
from benchmarks.prediction.markdown import figure, nats, percent, spearman, table, yes_or_no
from benchmarks.prediction.page_measured import CONTROLS, group_name, what_was_measured
from benchmarks.prediction.tables import leads, sizes, standing
from benchmarks.readme import write_block
from benchmarks.second.in_short import second_in_short
from benchmarks.second.page import second_run
from superpose.files import new_file
from superpose.statistics import correlate

__all__ = ["PAGE", "page", "write_pages"]

TRIVIA = frozenset({"music", "science"})
"""Domains of short answers, whose calibration rows have the fewest answer tokens."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "prediction.md"

TITLE = "# Who foretells interference?\n"

METHODS = {
    "average": "average, 1/K",
    "tuned": "one weight an adapter",
    "by-layer": "one an adapter and layer",
    "by-module": "one an adapter and module",
}

HEAD = """\
## How it was put to the test

Made by `python -m benchmarks.prediction judge` from `benchmarks/results/prediction.json`, whatever
it says. Interference is L_i(sum) - L_i(own): how many nats an answer token domain i loses on its
test rows when the other adapters join its own, all with task weight 1. A point is one sum on one
of its domains. Predictors see the weights and, where they need data, the domain's calibration
rows, which no test row is among. Brackets hold a 95 % interval from a bootstrap in which domains
and seeds are drawn, each by themselves (Owen 2007), and sums of every size keep their share. They
know of three seeds that share calibration and test rows, and take the domains as exchangeable,
which they are not quite: nine of five sources, four of them one file cut by the kind of question,
so that one's questions are of subjects that another was trained on, two trivia. Left-out error: the
mean absolute error, in nats, on a domain that the straight line
from figure to nats was not fitted on. Error and bias: of predictions that are in nats already.
The record has every point's interference and figures; row losses, and the forecast's own
intervals, it has not: those of the second run are kept.
"""

NOTES = """\
A figure for more than two adapters is that of the own adapter beside the sum of the others; the
cosines of A and of B, which a sum does not have, are root mean squares over the others. *Within a
domain* is the mean over domains of Spearman among the pairs measured on one: which partner disturbs
this domain least. Random partners of the same norms disturb next to nothing, so size is not the
cause, and norms tell nothing of pairs. *Pairs
evaluated* adds up what each other adapter does alone on the calibration rows, so for pairs it is
a measurement on other rows of the same domain, and what lambda space costs beyond it buys slopes,
weights other than 1 and what several do together. *Lambda space* fits one polynomial of all
adapters' weights to each domain. MAP has two evaluations for each of its
coefficients, on so many fewer rows that it sees as many tokens as lambda space; it was measured for
the first seed alone. At the design of its paper, fitted to each merge by itself on all rows, it was
measured in the second run, for triples of one seed. Controls are calibrated on half of the rows.
Tokens are counted once a forward pass, and a gradient as two passes; what reads inputs is charged
for the gradients that are taken with them, and pairs evaluated for values alone, though its slopes
were taken too.
What is named *after* a paper is a figure of ours in its spirit, and so is the *RMS cosine* of more
than two adapters, which the paper does not have; summed over the others it knows their number.
*Data-free, combined* is a ridge regression of all figures that need no data on the sums that were
measured without the domain in question, its penalty chosen among these: what a linear rule could
tell a domain that comes anew of many sums measured on others.
"""

PARTS = """\
Larger sums lose more, and every predictor that knows the size gains from that in the table of all
sums; within one size it does not. The polynomial's form was settled while the tournament was
under way, when forecasts of the first two seeds could be held against what was measured: a plain
quadratic got cubes along the others' axes, one coefficient of all triples, and a shape of the own
axis, and a variant fitted to each subset alone was entered and taken out. No other predictor was
reshaped. The last seed was calibrated afterwards, so its row is the cleanest; its adapters, order
and sampled sums are new, its domains and rows are not. Since the second run what several others do
together saturates in `predict`, in place of the coefficient of all triples
([how](mathematics.md#lambda-space)): no figure of this first run is of that form.
"""

WEIGHTS = """\
Weights found on the calibration rows, measured on the test rows, for sums of the first seed: all of
them, or for finer weights a few drawn of each size. One weight an adapter is the polynomials'
closed form alone, of polynomials that have not seen the sum's own value, and without the Newton
steps that `superpose tune` takes from there. The record has no row a sum of these, so nobody can
recompute them; `benchmarks/methods` keeps every row of what it registers in their place. Regret is
the mean, over a sum's domains, of what each loses against its own adapter, in nats an answer token;
the gap is the naive sum's regret. Promised: better than naive in 90 % of sums and than the average
in 75 %; a third of the gap closed with one weight an adapter, 80 % with finer ones. The interval of
a share of sums reaches to the farther ends of two: the bootstrap's over domains, which cannot leave
100 %, and Clopper and Pearson's of as many independent sums, by which nine of nine may be 66 %.
"""

ONE_SLOPE = "after gradient alignment"
"""What is charged for one slope, so for two passes."""


def page(record: Mapping[str, Any]) -> str:
    """The whole page, as Markdown."""
    return "\n".join(
        [
            TITLE,
            *in_short(record),
            *second_in_short(),
            "",
            HEAD,
            *what_was_measured(record),
            *_predictors(record),
            *_parts(record),
            *_targets(record),
            *_weights(record),
            *_end(record),
            *second_run(),
        ]
    )


def write_pages(record: Mapping[str, Any]) -> None:
    """Write the page, and README.md's block."""
    with new_file(PAGE) as beside:
        beside.write_text(page(record), encoding="utf-8")
    write_block(COMMAND, brief(record))


def _predictors(record: Mapping[str, Any]) -> Iterator[str]:
    for group, title in (("all", "## All sums"), ("pairs", "## Pairs alone")):
        found = record["groups"][group]
        if found:
            yield title + "\n"
            if found["ceiling"] is not None:
                yield (
                    f"{found['n']} points. Half of the test rows agree with the other half so far "
                    f"that a perfect predictor would reach a Spearman of about "
                    f"{found['ceiling']:.2f}.\n"
                )
            yield from table(*standing(record, group))
    free = sum(not each["needs"] for each in record["predictors"])
    yield (
        f"{len(record['predictors'])} predictors were entered, {free} of which need no data at "
        "all: the best of so many is a little better than it would be by itself.\n"
    )
    yield NOTES
    yield _rival(record)
    yield from sizes(record)
    yield "## Controls\n"
    names = [name for name in record["groups"] if name in CONTROLS]
    rows = [
        [each["name"], *(spearman(each["groups"][name]) for name in ("pairs", *names))]
        for each in record["predictors"]
    ]
    yield from table(["Spearman", "pairs", *map(group_name, names)], rows)


def _rival(record: Mapping[str, Any]) -> str:
    """Say what evaluating the very sums that are asked would cost."""
    cost = {each["name"]: each["cost"] for each in record["predictors"]}
    if not cost[ONE_SLOPE] or not cost["lambda space"]:
        return ""
    # A gradient is charged as two passes.
    passes = 2 * cost["lambda space"]["tokens"] / cost[ONE_SLOPE]["tokens"]
    asked = record["groups"]["all"]["n"] / (len(record["domains"]) * len(record["seeds"]))
    return (
        "Not entered is the sum itself, evaluated on the calibration rows; of a pair that is what "
        f"*pairs evaluated* is. All sums asked of a domain and seed, {asked:.1f} on average, take "
        f"{asked + 1:.1f} forward passes a row with the own adapter's; lambda space took "
        f"{passes:.1f}.\n"
    )


def _parts(record: Mapping[str, Any]) -> Iterator[str]:
    """Take lambda space's points apart: by size of the sum, by seed, by domain."""
    yield "## Lambda space, part by part\n"
    yield PARTS
    rows = []
    for name, (group, judged) in record["parts"].items():
        share = judged["error"] / group["mean"] if group["mean"] > 0 else None
        figures = [nats(judged["error"]), "" if share is None else f"{share:.2f}"]
        rows.append([name, str(group["n"]), spearman(judged), f"{group['mean']:+.4f}", *figures])
    yield from table(["points", "number", "Spearman", "mean", "error", "error / mean"], rows)
    yield from _without_trivia(record)


def _without_trivia(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what is left without the domains that calibrated on the fewest tokens."""
    names = [each["name"] for each in record["predictors"]]
    points = [point for point in record["points"] if point[0] == "main"]
    left = [point for point in points if not TRIVIA & set(point[2].split("+"))]
    if len(left) in (0, len(points)):
        return
    truth = np.array([point[4] for point in left])
    ranks = {
        name: correlate([point[5][names.index(name)] for point in left], truth).spearman
        for name in (BEST, "count")
    }
    off = [abs(p[5][names.index(BEST)] - p[4]) for p in points if p[3] in TRIVIA]
    every = [abs(p[5][names.index(BEST)] - p[4]) for p in points]
    yield (
        f"{' and '.join(sorted(TRIVIA))}, calibrated on some 300 answer tokens, hold "
        f"{100 * sum(off) / sum(every):.0f} % of lambda space's error. Without both, of "
        f"{len(left)} points, it has {ranks[BEST]:.2f} and the number of adapters alone "
        f"{ranks['count']:.2f}.\n"
    )


def _targets(record: Mapping[str, Any]) -> Iterator[str]:
    """Say of what was promised of lambda space whether it holds, and how far it leads."""
    by_name = {each["name"]: each for each in record["predictors"]}
    found, promised = by_name["lambda space"]["groups"]["all"], record["promised"]
    if found is None or found["spearman"] is None or promised is None:
        return
    best = best_without_data(record, "all")
    free = by_name[best]["groups"]["all"]
    share = promised["error_share"]
    yield "## What was promised of lambda space\n"
    rows = [
        ["Spearman over all points", "at least 0.9", spearman(found)],
        ["error / mean interference", "at most 1/3", figure(share["value"], share["interval"])],
        [f"best without data: {best}", "below lambda space", spearman(free)],
    ]
    holds = [
        found["spearman"] >= 0.9,
        0 < share["value"] <= 1 / 3,
        abs(free["spearman"]) < found["spearman"],
    ]
    marked = [[*row, yes_or_no(kept)] for row, kept in zip(rows, holds, strict=True)]
    yield from table(["figure", "promised", "measured", "the point value holds"], marked)
    yield from leads(record)


def _weights(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what other task weights than 1 did on the test rows."""
    found = record["weights"]
    if not found:
        return
    yield "## Tuned weights\n"
    yield WEIGHTS
    head = ["weights", "sums", "regret, naive", "regret", "gap closed", "better than naive"]
    rows = [
        [
            METHODS[name],
            str(each["sums"]),
            *(nats(each[key]) for key in ("naive_regret", "regret")),
            *(percent(each[key]) for key in ("gap_closed", "better_than_naive")),
            "" if name == "average" else percent(each["better_than_average"]),
        ]
        for name, each in found.items()
    ]
    yield from table([*head, "better than average"], rows)
    yield elsewhere("results.md") + "\n"


def _end(record: Mapping[str, Any]) -> Iterator[str]:
    made = record["measured_with"]
    libraries = ", ".join(f"{name} {made[name]}" for name in ("numpy", "torch", "transformers"))
    yield (
        f"{made['cores']} cores of {made['processor']}, {made['system']}; python {made['python']}, "
        f"{libraries}. Other work ran on the same cores, so seconds are upper bounds.\n"
    )
