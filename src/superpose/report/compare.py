"""The page of `superpose compare`: which merge methods keep how much, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.tables import DataTable, plain_table
from superpose.report.texts import perplexity_figure, public
from superpose.shown import Table
from superpose.shown.words import counted

__all__ = ["compare_page"]

_TOLD = {
    "": "is the best",
    "better": "is better than the plain sum",
    "tie": "is the best, and cannot be told from the plain sum",
    "worse": "is the best, and worse than the plain sum",
}
"""By verdict; without one it is the plain sum itself, or that was not tried."""

TERMS = ("perplexity", "task weights", "merged data", "dPPL")


def compare_page(
    found: Mapping[str, Any],
    tables: Sequence[Table],
    csv: tuple[Sequence[str], Sequence[Sequence[object]]],
    made: Making,
) -> Page:
    """Give the page of what `compare --json` holds.

    tables: the order, and what else is told of the methods. csv: columns and rows, a row a method
    and domain.
    """
    order, *others = tables
    sections = (
        _verdict(found, [plain_table(each) for each in others]),
        DataTable("order", order, "methods.csv", csv).section("The methods", order.remark),
        made_section(made, TERMS),
    )
    methods, on = counted(len(found["methods"]), "merge method"), len(found["domains"])
    title = f"{methods} on {counted(on, 'domain')}"
    return Page(title, f"At one budget each, on {public(found['base'])}", sections)


def _verdict(found: Mapping[str, Any], lists: Sequence[Mapping[str, Any]]) -> Section:
    """Say which is the best, what it is beside the plain sum, and how to write it."""
    methods: Sequence[Mapping[str, Any]] = found["methods"]
    best = methods[0]
    ties = sum(each["verdict"] == "tie" for each in methods)
    closed = best["gap_closed"]
    way = "" if closed is None else f"; it goes {closed:.0%} of the way to the own adapters"
    sentences = [
        (
            f"{best['method']} {_TOLD[best['verdict']]}.",
            f"Perplexity {perplexity_figure(best['mean_nll'])} on the mean of the domains{way}. "
            f"{counted(ties, 'method')} cannot be told from the plain sum on these test rows.",
        ),
        ("To write it:", "; then ".join(f"`{command}`" for command in found["commands"])),
    ]
    cards = [
        {
            "name": name,
            "value": perplexity_figure(one["mean_nll"]),
            "beside": "",
            "count": "geometric mean over the domains",
        }
        for name, one in found["references"].items()
    ]
    remark = "The order is that of these test rows, which flatters the first of many a little."
    values = {"sentences": sentences, "cards": cards, "remark": remark, "lists": lists}
    return Section("verdict", "Verdict", values)
