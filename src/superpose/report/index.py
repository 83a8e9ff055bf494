"""The page of `superpose index`: what an index holds of each base model, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.parts import parts_section
from superpose.report.tables import DataTable, plain_table
from superpose.report.texts import public
from superpose.shown import Table
from superpose.shown.words import counted

__all__ = ["ON_AN_INDEX_PAGE", "index_page"]

TERMS = ("delta",)

ON_AN_INDEX_PAGE = 500
"""Adapters of the page's table; its CSV has all."""


def index_page(
    found: Mapping[str, Any], bases: Table, adapters: Table, rest: Sequence[Table], made: Making
) -> Page:
    """Give the page of what `index --json` holds.

    bases: a row for each base model. adapters: the first that can be used. rest: what is left out,
    and what was read with a remark.
    """
    sections = [_verdict(found, bases)]
    if adapters.rows:
        sections.append(_held(found, adapters))
    if rest:
        sections.append(parts_section("rest", "Left out, and remarks", rest))
    sections.append(made_section(made, TERMS))
    held = counted(found["adapter_count"], "adapter")
    title = f"{held} of {counted(len(found['bases']), 'base model')}"
    return Page(title, f"What the index {public(found['output'])} holds", tuple(sections))


def _verdict(found: Mapping[str, Any], bases: Table) -> Section:
    counts, left = found["counts"], len(found["problems"])
    new = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    held = counted(found["adapter_count"], "adapter")
    sentences = [(f"{held} can be used.", f"This run: {new or 'nothing'}.")]
    if left:
        are = "is" if left == 1 else "are"
        sentences.append((f"{left:,} {are} left out.", "The reason of each stands below."))
    apart = "Adapters of different base models are kept apart: they are never compared."
    values = {
        "sentences": sentences,
        "remark": apart if len(found["bases"]) > 1 else "",
        "cards": [],
        "lists": [plain_table(bases)] if bases.rows else [],
    }
    return Section("verdict", "Verdict", values)


def _held(found: Mapping[str, Any], adapters: Table) -> Section:
    sound = [one for one in found["entries"] if one["problem"] is None]
    columns = list(sound[0])
    rows = [[one[column] for column in columns] for one in sound]
    table = DataTable("held", adapters, "adapters.csv", (columns, rows))
    fewer = f"Here are the first {len(adapters.rows):,} of {len(rows):,}; the CSV file has all."
    values = {
        "lead": "The norm is that of all deltas together. Every command that takes --index knows "
        "an adapter by its name here.",
        "left_out": fewer if len(adapters.rows) < len(rows) else "",
        "table": table,
    }
    data = {"tables": {"held": table.data()}}
    return Section("adapters", "Adapters", values, data, template="listed")
