"""Text as HTML or Markdown: nothing in it is read as markup, formula or direction of reading."""

from __future__ import annotations

import html
import re

__all__ = ["LONGEST", "escaped", "in_markdown", "shortened", "visible"]

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


_MARKDOWN = re.compile(
    r"`[\w./+-]+`|[\\`*\[\]<>|]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])|~(?=~)|\$(?=\S)"
)
"""What begins or ends anything but text: emphasis (`0.5*math + 0.3*law` has one), a link, a tag, a
field of a table, an entity, a formula. An underscore within a word is one; before them, code of
nothing but words, which stays code."""


def in_markdown(text: object) -> str:
    """Give text as one line of Markdown that shows it: no name makes a link, a tag or a table."""
    line = " ".join(str(text).split())
    return _MARKDOWN.sub(_as_text, visible(line))


def _as_text(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else f"\\{found[0]}"


def shortened(value: object, most: int = LONGEST) -> str:
    """Give text of at most `most` characters; of a module's name the end tells more."""
    text = str(value)
    if len(text) <= most:
        return text
    first = most // 3
    return f"{text[:first]}…{text[len(text) - (most - first - 1) :]}"
