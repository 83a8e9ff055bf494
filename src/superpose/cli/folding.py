"""Text broken into lines at its words; a word alone that is too long at its joints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

__all__ = ["folded", "longest_piece", "longest_word", "wrapped"]

# A name of a module or a path is broken behind these.
_PIECES = re.compile(r"[^._/:\\-]*[._/:\\-]+|[^._/:\\-]+")

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:s|h|MB|kB|GB|nats)\b)")
_TIED = "\ue000"  # of no script, and one column wide


def longest_word(text: str) -> int:
    """Give the width of the longest word."""
    return max(map(cell_len, text.split()), default=0)


def longest_piece(text: str) -> int:
    """Give the width of the longest piece that `folded` breaks only where it has to."""
    pieces = (piece for word in text.split() for piece in _PIECES.findall(word))
    return max(map(cell_len, pieces), default=0)


def wrapped(text: str, room: int, indent: int = 0) -> str:
    """Break a sentence at spaces; a word that is too long, such as a path, stays whole.

    No line is broken between a figure and its unit. indent: spaces before all lines but the first.
    """
    lines, beginning = [""], True
    for word in _BEFORE_UNIT.sub(_TIED, text).split(" "):
        line = word if beginning else f"{lines[-1]} {word}"
        if beginning or cell_len(line) <= room:
            lines[-1], beginning = line, False
        else:
            lines.append(" " * indent + word)
    return "\n".join(lines).replace(_TIED, " ")


def folded(text: str, room: int) -> str:
    """Break text at spaces, a word that is too long behind its joints, a piece as it comes."""
    return "\n".join(line for each in text.split("\n") for line in _lines(each, max(1, room)))


def _lines(text: str, room: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line.strip() and cell_len(f"{line} {word}") > room:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
        if cell_len(line) > room:
            *whole, line = _pieces(line, room)
            yield from whole
    yield line


def _pieces(word: str, room: int) -> Iterator[str]:
    """Break one word."""
    line = ""
    for piece in _PIECES.findall(word):
        if line and cell_len(line + piece) > room:
            yield line
            line = ""
        line += piece
        if cell_len(line) > room:
            *whole, line = chop_cells(line, room)
            yield from whole
    yield line
