"""Ways to change a file: its bytes, its numbers, its JSON, the header of its tensors."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

__all__ = ["changed"]

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0),
    *(1e-320, 1e308, float("nan"), float("inf"), "", "q_proj", "(a+)+$", "(?i:(?:sa|ſa)*)!"),
    *("[", ".*", "\0", "\ud800", "../../etc/passwd", "/etc/passwd", "x" * 5000, "\x1b[2J", "é"),
    *("F32", "BF16", "F8_E4M3", "I64", [], {}, [[]], {"": {}}, [0, 2**63], [1e9, 1e9]),
    *(["a", "a"], {"a": 1}, [0, 0], [2**40, 2**40]),
]
"""Values that stand where another was."""

NAMES = [each for each in ODD if isinstance(each, str)]

WORDS = [
    b"\0" * 8, b"\xff" * 8, b"{", b"}", b"[" * 2000, b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe",
    b'"', b"&a ", b"*a ", b"!!python/object/apply:os.system ['x']", b"!!timestamp x", b"- - - - -",
    b": ", b"? ", b"<<: ", b"2001-99-99", b"1e-4", b"NaN", b"-Infinity", b"GGUF", b"PAR1",
    b"PK\3\4", b"\x80\x02c__builtin__\neval\n",
]  # fmt: skip
"""Bytes that mean something to one reader or another."""

NUMBERS = [0, 1, 7, 8, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63, 2**64 - 1]


def changed(content: bytes, rng: random.Random) -> bytes:
    """Give a file's bytes, changed once or a few times, as JSON or a header where they are one."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        content = rng.choice(WAYS)(content, rng)
    return content


def _flipped(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return b"\0"
    at, held = rng.randrange(len(content)), bytearray(content)
    held[at] = rng.randrange(256)
    return bytes(held)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 2, 4, 8, 64)) :]


def _doubled(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    piece = content[at : at + rng.choice((1, 8, 64, 512))]
    return content[:at] + piece * rng.choice((2, 3, 50)) + content[at + len(piece) :]


def _inserted(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(WORDS) + content[at:]


def _numbered(content: bytes, rng: random.Random) -> bytes:
    """Write another number over eight or four bytes, mostly where counts and lengths stand."""
    size = rng.choice((4, 8))
    at = rng.choice((0, 8, 16, 24, rng.randrange(len(content) + 1)))
    number = rng.choice(NUMBERS) % (1 << 8 * size)
    return content[:at] + struct.pack("<Q", number)[:size] + content[at + size :]


def _as_json(content: bytes, rng: random.Random) -> bytes:
    """Change a node of it; of lines of JSON one line; of a tensor file its header."""
    try:
        return _dumped(_changed_node(json.loads(content), rng))
    except (ValueError, RecursionError):
        pass
    if content[:1] == b"{":
        lines = content.split(b"\n")
        at = rng.randrange(len(lines))
        try:
            lines[at] = _dumped(_changed_node(json.loads(lines[at]), rng))
        except (ValueError, RecursionError):
            return _flipped(content, rng)
        return b"\n".join(lines)
    length = int.from_bytes(content[:8], "little")
    try:
        header = _dumped(_changed_node(json.loads(content[8 : 8 + length]), rng))
    except (ValueError, RecursionError, OverflowError):
        return _flipped(content, rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed_node(value: Any, rng: random.Random) -> Any:
    """Replace, remove, rename or nest something somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        way = rng.random()
        if way < 0.6:
            return {**value, key: _changed_node(value[key], rng)}
        if way < 0.75:
            return {k: v for k, v in value.items() if k != key}
        if way < 0.9:
            return {(rng.choice(NAMES) if k == key else k): v for k, v in value.items()}
        return {**value, rng.choice(NAMES): rng.choice(ODD)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [_changed_node(v, rng) if n == at else v for n, v in enumerate(value)]
    if rng.random() < 0.05:
        deep: Any = value
        for _ in range(rng.choice((10, 900, 5000))):
            deep = [deep]
        return deep
    return rng.choice(ODD)


WAYS = (
    _flipped, _cut, _without, _doubled, _inserted, _numbered, *[_as_json] * 4,
)  # fmt: skip
