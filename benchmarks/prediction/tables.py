"""Tables of predictors that the pages of both tournaments have, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.markdown import figure, nats, plain, signed, spearman, table

__all__ = ["SIZES", "leads", "sizes", "standing"]

SIZED = """\
Here knowing the number of adapters is of no use. A resample can hold very few of the sums of three
and four that were drawn, so their intervals are wide.
"""

OF_PAIRS = ("within a domain", "p, labels permuted")
"""Columns that pairs alone have."""

SIZES = ("pairs", "triples", "quadruples")

LEADS = """\
Differences of Spearman over all sums that the other has a figure of, lambda space's less the
other's, each with its own interval: both are taken on the same resamples. One that reaches zero
leaves open which of both is better.
"""


def standing(record: Mapping[str, Any], group: str) -> tuple[list[str], list[list[str]]]:
    """Give the head and the rows of all predictors on one group of points."""
    head = ["predictor", "points", "Spearman", "within a domain", "Pearson", "p, labels permuted"]
    head += ["left-out error", "error", "bias", "tokens a domain", "seconds a domain"]
    if group != "pairs":
        head = [title for title in head if title not in OF_PAIRS]
    rows = []
    for each in record["predictors"]:
        found = each["groups"][group]
        if found is None:
            continue
        row = [each["name"], str(found["n"]), spearman(found)]
        row += [figure(found["within_domains"], None)] if group == "pairs" else []
        row += [figure(found["pearson"], found["pearson_interval"])]
        row += [plain(found["permutation_p"])] if group == "pairs" else []
        row += [nats(found[key]) for key in ("left_out_error", "error", "bias")]
        rows.append(row + _cost(each["cost"]))
    return head, rows


def sizes(record: Mapping[str, Any]) -> Iterator[str]:
    """Show every predictor within one size, where knowing the size is of no use."""
    yield "## Within one size\n"
    yield SIZED
    names = [name for name in SIZES if record["groups"][name]]
    rows = [
        [each["name"], *(spearman(each["groups"][name]) for name in names)]
        for each in record["predictors"]
    ]
    yield from table(["Spearman", *names], rows)


def leads(record: Mapping[str, Any]) -> Iterator[str]:
    """Say how far lambda space is ahead of each other predictor over all sums."""
    yield LEADS
    rows = [
        [name, str(lead["n"]), f"{lead['value']:+.2f}", signed(lead["interval"])]
        for name, lead in record["promised"]["leads"].items()
    ]
    yield from table(["lambda space ahead of", "points", "by", "95 % interval"], rows)


def _cost(cost: Mapping[str, float] | None) -> list[str]:
    if cost is None:
        return ["not measured", "not measured"]
    return [f"{cost['tokens']:,}", f"{cost['seconds']:.0f}"] if cost["tokens"] else ["0", "0"]
