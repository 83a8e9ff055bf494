"""The second tournament's part of docs/prediction.md, from its record: no figure is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.prediction.as_the_paper import as_the_paper
from benchmarks.prediction.markdown import figure, nats, spearman, table
from benchmarks.prediction.tables import leads, sizes, standing
from benchmarks.second.accuracy import BOUNDS, FORETOLD
from benchmarks.second.coverage import CROSS_AT_NINE, ENOUGH, HONEST, NINE
from benchmarks.second.page_beside import norms_page, signs_page
from benchmarks.second.rows import RECORD
from benchmarks.second.settings import PARTNERS
from superpose.landscape.polynomial import CROSS

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

COVERAGE = """\
How often a 95 % interval holds what was measured, L(weighting) - L(own), where the forecast had no
measurement: triples, quadruples and weights drawn from [0, 1.5], forecast with all {all} adapters,
and with each drawn four that hold the domain's own. On *test* rows that is the interval of
`predict` as it is printed; registered: at least 90 % in each group of at least {enough}. On the
*calibration* rows, which the forecast was fitted to, no other rows come in, so only its part for
what the polynomial may miss is asked.

*As registered* and the columns behind it are of the intervals as they were when this was measured:
there *elsewhere* leaves out television and world of seed 0, on which their width had been set.
Where they held less than 90 %, at drawn weights and at triples of six, the forecast had been too
high: with next to nothing of the own adapter the others' alone bring most of its gain, and losses
far out grow less than a quadratic does. So intervals were widened until every group had its 90 %
(`AWAY`, `CROSS` in the mathematics) with seeds 0 and 1 at hand, and what saturates came in: *held
now* is a fit to these and no test, but of *new seeds*, which had not been looked at. In brackets
Clopper and Pearson's interval of the share, as if all were independent, which those that share rows
and adapters are not.
"""

WITH_NINE = """\
With nine adapters (the six and {partners}; `python -m benchmarks.second nine`) nothing had been
looked at before the first two widths were set: seed 0, the first 64 of each row kind, seven
weightings of a kind on each of the six domains. Three and four of nine held less than 90 %, so
intervals were widened once more (`CROSS` from {then} to {cross}): *held now* is a fit to nine too,
and *new seeds* is how intervals held before that. Most of what fell out is the rows' own: 64 test
rows differ from 64 calibration rows by as much as what is foretold, and an interval of `predict` is
of the domain's loss, not of a measurement on other few rows. With the test rows' sampling error
counted beside it, the intervals as they were held {met}. And the
loss of the sum of nine, at which what saturates is set, lies far from sums of three.
"""

WITHOUT_NINE = """\
With nine adapters nothing can be counted yet: the first run's record holds forecasts and what was
measured, but neither row losses nor intervals, and its folder was not kept.
"""

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
    yield from _coverage(record)
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
    said = f"{len(record['predictors'])} predictors were entered."
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
            kept = "yes" if told[group]["spearman"] >= BOUNDS["spearman"] else "**no**"
            ranks = spearman(told[group]), kept, spearman(now[group])
            rows.append([f"Spearman within {group}", "at least 0.8", *ranks])
    share = told["all"]["share"]
    shares = [figure(each["value"], each["interval"]) for each in (share, now["all"]["share"])]
    kept = "yes" if 0 < share["value"] <= 1 / 3 else "**no**"
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


def _coverage(record: Mapping[str, Any]) -> Iterator[str]:
    groups = record["coverage"]["groups"]
    if not groups:
        return
    yield "## Second run: are the intervals honest?\n"
    yield COVERAGE.format(all=len(record["adapters"]), enough=ENOUGH)
    head = ["forecast with", "of", "rows", "number", "as registered", "elsewhere", "at least 90 %"]
    rows = [
        [f"{each['adapters']} adapters", each["kind"], each["rows"], str(each["n"])]
        + [f"{100 * each['held_before'] / each['n']:.0f} %"]
        + ["{} of {}".format(*each["fresh_before"]), _honest(each), _share(each)]
        + ["{} of {}".format(*each["fresh"]) if each["fresh"][1] else "none yet"]
        + [nats(each[key]) for key in ("half_width", "error")]
        + [f"{each['mean']:+.4f}"]
        for each in groups
    ]
    more = ["held now", "new seeds", "half width now", "error", "mean (nats)"]
    yield from table([*head, *more], rows)
    yield _of_nine([each for each in groups if each["adapters"] == NINE])


def _of_nine(groups: Sequence[Mapping[str, Any]]) -> str:
    if not groups:
        return WITHOUT_NINE
    met = ["{} of {} {kind}".format(*each["fresh_met"], kind=each["kind"]) for each in groups]
    partners = ", ".join(PARTNERS)
    return WITH_NINE.format(partners=partners, then=CROSS_AT_NINE, cross=CROSS, met=", ".join(met))


def _honest(group: Mapping[str, Any]) -> str:
    """Say whether the registered bound held; of too few it is not asked."""
    if group["rows"] != "test":
        return ""
    if group["n"] < ENOUGH:
        return f"fewer than {ENOUGH}"
    return "yes" if group["held_before"] >= HONEST * group["n"] else "**no**"


def _share(group: Mapping[str, Any]) -> str:
    low, high = group["interval"]
    return f"{100 * group['held'] / group['n']:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


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
    return "yes" if ranked and way["points"] <= BOUNDS["points"] else "**no**"
