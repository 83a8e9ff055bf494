"""How wide a text is in Helvetica, the font that every PDF reader has."""

from __future__ import annotations

__all__ = ["text_width"]

_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
"""Of the characters from the space to the tilde, in thousandths of the height: Adobe's metrics."""

_OTHER = 556


def text_width(text: str, size: float) -> float:
    """Give the width at a height in points; other characters are as wide as a digit."""
    widths = (_WIDTHS[ord(c) - 32] if 32 <= ord(c) < 32 + len(_WIDTHS) else _OTHER for c in text)
    return size * sum(widths) / 1000
