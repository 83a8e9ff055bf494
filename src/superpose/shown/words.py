"""Figures, counts and lists in words, as verdicts and pages write them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping

from superpose.shown.parts import Form, written

__all__ = [
    "ascii_minus",
    "counted",
    "figure",
    "joined",
    "meant",
    "true_minus",
    "typeset",
    "weights_text",
]


def figure(value: float | None, form: Form = ".3g") -> str:
    """Give a figure as a page writes it; a dash for one that does not exist."""
    return typeset(written(value if value is None or math.isfinite(value) else None, form))


def typeset(text: str) -> str:
    """Give written figures with a true minus, and a dash for what does not exist.

    Zero has no sign.
    """

    def one(word: str) -> str:
        if word.lstrip("+-") in ("", "nan", "inf"):
            return "–"
        return word.replace("-", "−") if re.search("[1-9]", word) else word.lstrip("+-")

    return " ".join(map(one, text.split(" "))) if text else ""


def true_minus(sentence: str) -> str:
    """Give a sentence with a true minus before its figures; a command in it stays as it is."""
    if "superpose " in sentence:
        return sentence
    return re.sub(r"(?<![^\s(])-(?=\d)", "−", sentence)


def ascii_minus(sentence: str) -> str:
    """Give a sentence for a terminal, in which figures are copied as a shell reads them."""
    return re.sub(r"−(?=\d)", "-", sentence)


def counted(number: int, thing: str, many: str = "") -> str:
    """Give `1 pair`, `3 pairs`."""
    return f"{number:,} {thing if number == 1 else many or f'{thing}s'}"


def joined(names: Iterable[str], last: str = "and") -> str:
    """Give `a, b and c`."""
    listed = list(names)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}"


def meant(word: str, known: Iterable[str]) -> str:
    """Give "Did you mean `x`? " for a word that is like a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean `{close[0]}`? " if close else ""


def weights_text(weights: Mapping[str, float]) -> str:
    """Give `0.93 math + medicine`; the base for none."""
    parts = [
        name if w == 1 else f"{figure(round(w, 3), 'g')} {name}" for name, w in weights.items() if w
    ]
    return " + ".join(parts) or "base"
