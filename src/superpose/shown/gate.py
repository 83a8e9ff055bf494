"""What was tested, for systems that run tests: SARIF 2.1.0 and JUnit XML say it to them.

No name can break either file or what shows it: characters that control a terminal or a page, that
XML cannot hold or UTF-8 cannot encode are written as escapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Tested", "Tests", "plain"]


@dataclass(frozen=True)
class Tested:
    """One thing that was tested.

    rule: which rule was asked, such as `cosine`. name: of what it was asked, and how. said: what
    was found. path: the file or folder that it is about, None where it lies nowhere. passed: None
    where it could not be told, since the command itself failed.
    """

    rule: str
    name: str
    said: str
    path: str | None
    passed: bool | None


@dataclass(frozen=True)
class Tests:
    """All that one run tested. command: check or verify. rules: name -> what it means."""

    command: str
    version: str
    rules: Mapping[str, str]
    tests: tuple[Tested, ...]
    seconds: float


def plain(value: object) -> str:
    """Text in which all that is not printed is an escape, save line breaks."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in str(value)
    )
