"""What regmean needs of the inputs, as a part of the page of merge methods: no figure is typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.methods.ways import REFERENCE
from benchmarks.prediction.markdown import table, yes_or_no

__all__ = ["inputs_section"]

HEAD = """\
## What regmean needs

`regmean` asks what a domain sends into the modules. The reference is the inputs of the bare base
model on {calibration} calibration rows a domain, questions with answers, the whole covariance,
ridge 0.001; every other way differs in one thing. *Gap closed*: the share of what the naive sum
loses against the own adapters that is gone, in nats an answer token on {test} test rows a domain,
means over members and then over sums. *Beyond it*: points more than the reference has on the same
sums. Brackets hold the middle 95 % of 2,000 resamples of questions and of sums, each drawn by
themselves; the draws are the same for every way. A *tie* is nearer than two standard errors to the
naive sum.

Whether the average, or the sum at another scale, does as well is not asked here but in the arena.
Rows of another domain show how much of the gap hangs on the statistics at all.
"""

EVERY = """\
The share of the gap that each way closes on each sum, whose gap the first table tells. Four of the
six domains are trivia, alike in form.
"""

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Whose inputs, on which rows": {
        REFERENCE: "the base's, on questions with answers",
        "own-inputs": "under the domain's own adapter",
        "questions": "the base's, on questions alone",
        "training": "the base's, on as many training rows",
        "carried": "the file of `train --statistics`, no rows",
    },
    "How many rows a domain": {
        "rows-4": "4",
        "rows-8": "8",
        "rows-16": "16",
        REFERENCE: "32",
        "rows-64": "64",
        "rows-128": "128 (research: the 64 that there are)",
    },
    "How much of the covariance": {
        REFERENCE: "all",
        "sketch-64": "64 directions, and the mean of the rest",
        "sketch-48": "48, what `train --statistics` stores",
        "sketch-16": "16",
        "ssr": "in the space of the ranks (`ssr`)",
    },
    "Which ridge": {
        "ridge-1e-4": "0.0001",
        REFERENCE: "0.001",
        "ridge-1e-2": "0.01",
        "ridge-1e-1": "0.1",
    },
    "Rows of another domain": {
        REFERENCE: "its own",
        "swapped": "the next member's",
        "elsewhere": "of a domain outside the sum",
    },
    "Weights on top": {
        REFERENCE: "none",
        "by-adapter": "one an adapter, 4 passes over the same rows",
        "by-module": "one an adapter and module, 8 passes",
    },
}
"""Ways by what they differ in, and how each is called there."""

BOUNDS = (
    (REFERENCE, "gap_closed", ">=", 0.6),
    ("by-module", "gap_closed", ">=", 0.8),
    ("by-module", "gap_closed", ">=", 0.95),
    ("sketch-64", "beyond", ">=", -0.05),
    ("sketch-48", "beyond", ">=", -0.05),
    ("carried", "beyond", ">=", -0.05),
    ("sketch-16", "beyond", ">=", -0.1),
    ("questions", "beyond", ">=", -0.05),
    ("own-inputs", "beyond", ">=", -0.05),
    ("training", "beyond", ">=", -0.05),
    ("rows-16", "beyond", ">=", -0.05),
    ("ridge-1e-4", "beyond", ">=", -0.05),
    ("ridge-1e-2", "beyond", ">=", -0.05),
    ("ssr", "beyond", ">=", -0.3),
    ("ssr", "beyond", "<=", -0.1),
)
"""What was registered: way, figure, sense, bound."""

REGISTERED = """\
What was registered, bounds and expectations, and whether the point value holds.
"""

HALF = {"rows-4": ">=", "swapped": "<", "elsewhere": "<"}
"""Ways that were expected to reach half of the reference, or not to."""


def inputs_section(record: Mapping[str, Any]) -> Iterator[str]:
    """Give the section's parts."""
    yield HEAD.format(**record["about"]["rows"])
    yield from _sums(record)
    ways = record["ways"]
    for title, called in SECTIONS.items():
        asked = {way: said for way, said in called.items() if way in ways}
        if set(asked) - {REFERENCE}:
            rows = [[said, *_figures(ways[way], way)] for way, said in asked.items()]
            head = [title, "sums", "gap closed", "reference on these", "beyond it (points)"]
            yield from table([*head, "against the naive sum (nats)"], rows)
    yield from _registered(ways)
    yield from _every_sum(record)


def _every_sum(record: Mapping[str, Any]) -> Iterator[str]:
    """Show each way on each sum; nothing where it was not asked or there is no gap."""
    sums = [each["nats"] for each in record["sums"]]
    rows = []
    for way in record["ways"]:
        shares = [
            f"{100 * (nats['sum'] - nats[way]) / (nats['sum'] - nats['own']):.0f} %"
            if way in nats and nats["sum"] != nats["own"]
            else ""
            for nats in sums
        ]
        rows += [[f"`{way}`", *shares]] if way not in ("own", "sum") else []
    yield EVERY
    yield from table(["", *(" + ".join(each["domains"]) for each in record["sums"])], rows)


def _sums(record: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [f"{' + '.join(each['domains'])}, seed {each['seed']}"]
        + [f"{each['nats'][way]:.4f}" for way in ("own", "sum", REFERENCE)]
        for each in record["sums"]
    ]
    yield from table(["nats an answer token", "own adapters", "naive sum", "regmean"], rows)
    yield from _left_out(record)


def _left_out(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what is not measured, sum by sum."""
    shown = {("+".join(each["domains"]), each["seed"]) for each in record["sums"]}
    ways: dict[tuple[str, int], list[str]] = {}
    for way, seed, domains in record["about"]["left_out"]:
        ways.setdefault((domains, seed), []).append(f"`{way}`")
    if ways:
        said = [
            f"{', '.join(each) if where in shown else 'everything'} of {where[0]}, seed {where[1]}"
            for where, each in ways.items()
        ]
        yield (
            "**The run is not finished**: the column *sums* says how many each figure is of, and "
            f"bounds are held against these. Left out: {'; '.join(said)}.\n"
        )


def _figures(found: Mapping[str, Any], way: str) -> list[str]:
    tie = ", *tie*" if abs(found["less_than_naive"]) <= 2 * found["error"] else ""
    return [
        str(found["sums"]),
        _percent(found["gap_closed"]),
        "" if way == REFERENCE else f"{100 * found['reference']['value']:.0f} %",
        "" if way == REFERENCE else _points(found["beyond"]),
        f"{found['less_than_naive']:+.4f} ± {found['error']:.4f}{tie}",
    ]


def _registered(ways: Mapping[str, Any]) -> Iterator[str]:
    """Say of every bound whether the point value holds."""
    rows = []
    for way, key, sense, bound in BOUNDS:
        if way in ways:
            rows.append(_bound(ways[way], way, key, sense, bound))
    for way, sense in HALF.items():
        if way in ways:
            half = ways[way]["reference"]["value"] / 2
            rows.append(_bound(ways[way], way, "gap_closed", sense, half))
    if rows:
        yield REGISTERED
        yield from table(["way", "registered", "measured", "holds"], rows)


def _bound(found: Mapping[str, Any], way: str, key: str, sense: str, bound: float) -> list[str]:
    value = found[key]["value"]
    holds = {">=": value >= bound, "<=": value <= bound, "<": value < bound}[sense]
    said = {">=": "at least", "<=": "at most", "<": "less than"}[sense]
    points = key == "beyond"
    wanted = f"{said} {100 * bound:+.0f} points" if points else f"{said} {100 * bound:.0f} %"
    shown = _points(found[key]) if points else _percent(found[key])
    return [f"`{way}`", wanted, shown, yes_or_no(holds)]


def _percent(share: Mapping[str, Any]) -> str:
    return f"{100 * share['value']:.0f} %{_ends(share, '.0f')}"


def _points(share: Mapping[str, Any]) -> str:
    return f"{100 * share['value']:+.1f}{_ends(share, '+.1f')}"


def _ends(share: Mapping[str, Any], digits: str) -> str:
    if share["interval"] is None:
        return ""
    low, high = (format(100 * end, digits) for end in share["interval"])
    return f" [{low}, {high}]"
