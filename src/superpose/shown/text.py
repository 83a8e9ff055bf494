"""Text as HTML: nothing in it is read as markup, as a formula or as a direction of reading."""

from __future__ import annotations

import html
import re

__all__ = ["LONGEST", "escaped", "shortened", "visible"]

LONGEST = 48
"""Characters of a name that a table shows."""

# Controls, line breaks, turns of the direction of reading, halves of characters, non-characters.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def escaped(value: object) -> str:
    """Give text that HTML shows as it stands, between tags or in a quoted attribute.

    Characters that HTML cannot hold or that would reorder the text are shown as escapes.
    """
    return html.escape(visible(str(value)), quote=True)


def visible(text: str, keep: str = "") -> str:
    """Give text in which characters that HTML cannot hold or that reorder it are escapes.

    keep: control characters that stay, such as the line break where it breaks lines.
    """

    def shown(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else found[0].encode("unicode_escape").decode()

    return _CONTROL.sub(shown, text)


def shortened(value: object, most: int = LONGEST) -> str:
    """Give text of at most `most` characters; of a module's name the end tells more."""
    text = str(value)
    if len(text) <= most:
        return text
    first = most // 3
    return f"{text[:first]}…{text[len(text) - (most - first - 1) :]}"
