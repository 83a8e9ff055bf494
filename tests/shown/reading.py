"""Reads what a notebook is shown, with Python's own parser: tables, tags, attributes, text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

TAGS = {"caption", "div", "p", "strong", "table", "tbody", "td", "th", "thead", "tr"}
ATTRIBUTES = {"class", "scope", "style", "title"}


@dataclass
class Table:
    """One table: its caption, its rows of cells' texts, and each cell's tag and attributes."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    cells: list[list[tuple[str, dict[str, str]]]] = field(default_factory=list)


class Reading(HTMLParser):
    """What stands in a piece of HTML; fails at tags that do not close or that we do not write."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.lines: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        given = {name: value or "" for name, value in attrs}
        assert set(given) <= ATTRIBUTES
        self.open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
            self.tables[-1].cells.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
            self.tables[-1].cells[-1].append((tag, given))
        elif tag == "p":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "p" in self.open:
            self.lines[-1] += data
        elif "caption" in self.open:
            self.tables[-1].caption += data
        else:
            assert self.open[-1] in ("td", "th"), f"text outside: {data!r}"
            self.tables[-1].rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")
