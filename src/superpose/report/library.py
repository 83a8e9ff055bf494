"""The page of `superpose check --index`: clusters, a map in their order, the worst pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.parts import parts_section
from superpose.report.texts import public
from superpose.shown import Part
from superpose.shown.words import counted

__all__ = ["library_page"]

TERMS = ("delta", "cosine", "RMS cosine", "floor", "overlap", "norm ratio")


def library_page(found: Mapping[str, Any], parts: Sequence[Sequence[Part]], made: Making) -> Page:
    """Give the page of what `check --index --json` holds. parts: what each base model shows."""
    bases = found["bases"]
    count = sum(len(base["adapters"]) for base in bases)
    sections = [
        _verdict(bases),
        *(
            parts_section(f"base-{at + 1}", public(base["base"]), shown)
            for at, (base, shown) in enumerate(zip(bases, parts, strict=True))
        ),
        made_section(made, TERMS),
    ]
    title = f"{counted(count, 'adapter')} of {counted(len(bases), 'base model')}"
    return Page(title, "What the weights alone tell of every pair", tuple(sections))


_ALONE = ("", "; the other stands alone", "; the others stand alone")
"""Of none, of one, of more."""


def _verdict(bases: Sequence[Mapping[str, Any]]) -> Section:
    sentences = []
    for base in bases:
        clusters = [one for one in base["clusters"] if len(one) > 1]
        held = sum(map(len, clusters))
        count = len(base["adapters"])
        says = (
            f"{counted(len(clusters), 'cluster')} {'has' if len(clusters) == 1 else 'have'} "
            f"{held:,} of {counted(count, 'adapter')}{_ALONE[min(count - held, 2)]}."
            if clusters
            else f"{counted(count, 'adapter')}, none of them close to another."
        )
        worst = base["pairs"][:1]
        then = "".join(f"The largest cosine, {p['a']} + {p['b']}: {p['verdict']}." for p in worst)
        sentences.append((f"{public(base['base'])}: {says}", then))
    remark = (
        "Which adapters go well together, no figure of the weights tells: clusters are copies, "
        "checkpoints and common directions, not groups to merge."
    )
    values = {
        "sentences": sentences or [("No adapter is in the index.", "")],
        "remark": remark,
        "cards": [],
        "lists": [],
    }
    return Section("verdict", "Verdict", values)
