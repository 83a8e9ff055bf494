"""Changes, names and command lines as a page writes them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Sequence

from superpose.landscape.adding_up import Share
from superpose.shown import perplexity as written_perplexity
from superpose.shown.text import visible as html_visible
from superpose.shown.words import figure, joined, true_minus

__all__ = [
    "change_text",
    "command_line",
    "names_or_number",
    "outcome",
    "perplexity_figure",
    "prose",
    "public",
    "visible_on_page",
]

_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")

LARGEST = 700.0
"""Nats whose perplexity a float still holds."""


def visible_on_page(value: object) -> object:
    """Give a text in which characters that a page cannot show are escapes; others as they are."""
    if type(value) is not str:
        return value
    return html_visible(value, keep="\t\n")  # a command's own lines, and those of a CSV file


def prose(text: str) -> str:
    """Give a sentence in which no line breaks between a figure and its per cent sign.

    Minus signs of figures are true ones.
    """
    return true_minus(text).replace(" %", "\u00a0%")


def public(name: str) -> str:
    """Give a model's name without the folders of the machine that it lies on."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] if _ABSOLUTE.match(name) else name


def names_or_number(names: Sequence[str]) -> str:
    """Give `math, medicine and finance`; of more than four their number."""
    return joined(names) if len(names) <= 4 else f"{len(names)} adapters"


def outcome(names: Sequence[str], kept: Share, advice: str) -> str:
    """Give a page's title: what becomes of the sum of these.

    kept: what it keeps of each adapter's gain, where it keeps least. advice: the verdict's.
    """
    if kept.kept is None:
        return f"The sum of {names_or_number(names)} has no gain to lose"
    share = f"{figure(100 * kept.kept, '.0f')}\u00a0%"
    if advice == "keep apart":
        return f"Keep {names_or_number(names)} apart: one adapter keeps {share} of what each gains"
    return f"{names_or_number(names)}: one adapter keeps at least {share} of what each gains"


def change_text(percent: float | None) -> str:
    """Give a change in per cent with its direction, told by a sign and an arrow."""
    if percent is None or not math.isfinite(percent):
        return "–"
    if abs(percent) < 0.05:
        return "="
    form = "+.1f" if abs(percent) < 100 else "+,.0f" if abs(percent) < 1e6 else "+.1e"
    return f"{'▲' if percent > 0 else '▼'} {figure(percent, form)}\u00a0%"


def perplexity_figure(nll: float | None) -> str:
    """Give exp(nll), nats an answer token, to four digits at most."""
    return figure(nll, lambda nats: written_perplexity(min(nats, LARGEST)))


def command_line(words: Iterable[str]) -> str:
    """Give a command that a shell takes as these words."""
    return shlex.join(words)
