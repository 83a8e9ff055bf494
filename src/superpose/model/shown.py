"""What a notebook shows of a verification; the words are those of `superpose add --verify`."""

from __future__ import annotations

from superpose.html import line, shown
from superpose.model.verification import Verification

__all__ = ["verification_html"]


def verification_html(found: Verification) -> str:
    """Give whether a written sum is the sum, and both errors."""
    verdict = "is the sum:" if found.holds else "is not the sum:"
    return shown(line(found, "" if found.approximate else f"The result {verdict}"))
