"""Text that no name can make a terminal obey."""

from __future__ import annotations

import re

__all__ = ["in_json", "one_line", "visible_in_terminal"]

# What moves the cursor, rings, colours or turns the direction of reading; not the line break.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BEYOND_ASCII = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible_in_terminal(value: object) -> str:
    """Text in which characters that control a terminal are escapes; a line break stays one."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def in_json(text: str) -> str:
    r"""JSON in which characters that control a terminal are escapes: all stand within strings.

    json.dumps escapes those below the space, and neither U+009B, with which a terminal's commands
    begin too, nor what turns the direction of reading.
    """
    return _BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(value: object) -> str:
    """Text as `visible` gives it, with line breaks as escapes too."""
    return visible_in_terminal(value).replace("\n", "\\n")
