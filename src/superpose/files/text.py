"""Text that a file can hold: JSON and file names may carry halves of characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from superpose.errors import BadInput

_HALF = re.compile("[\ud800-\udfff]")
_HALF_IN_JSON = re.compile(rb"\\u[dD]")

_HANDED_OVER = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


def encodable(text: str) -> str:
    """Give text that UTF-8 can hold: what a file name has instead of text becomes an escape.

    Inside a JSON string that escape is the same character again.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def with_an_end(path: Path) -> Path:
    """Give a path back that can be read to its end.

    Raises BadInput for a named pipe, which waits for somebody to write into it, and for a device,
    which may never end; but not for what a shell hands over: `<(...)` and standard input.
    """
    odd = path.exists() and not (path.is_file() or path.is_dir())
    if odd and not str(path).startswith(_HANDED_OVER):
        raise no_regular_file(path)
    return path


def no_regular_file(where: object) -> BadInput:
    """Give the refusal of what is there and neither a file nor a folder. where: as it was given."""
    return BadInput("is a pipe, a device or a socket: no regular file", where=where)


def check_characters(value: object, source: bytes) -> None:
    """Raise BadInput, naming the key, when parsed JSON holds a lone surrogate.

    Such text is half a character: no file can hold it. source: the JSON in UTF-8, in which only an
    escape can stand for one.
    """
    if not _HALF_IN_JSON.search(source):
        return
    # No recursion: what was parsed may be as deep as Python allows.
    rest = [("", value)]
    while rest:
        key, item = rest.pop()
        if isinstance(item, str) and _HALF.search(item):
            raise BadInput(f"`{encodable(key)}` holds half a character, a lone surrogate")
        if isinstance(item, Mapping):
            # A name is looked at like a value under it.
            rest += [(name, part) for name, value in item.items() for part in (name, value)]
        elif isinstance(item, list):
            rest += [(key, part) for part in item]
