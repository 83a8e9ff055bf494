"""Hold a built site against what it promises; ends with 1 where it falls short.

mkdocs build --strict && python scripts/site_holds.py site

Links and anchors of the pages' own Markdown are MkDocs' part. Here: nothing is loaded from
elsewhere, every link inside the finished HTML leads somewhere, each formula is set, and the
reference has every public name.
"""

from __future__ import annotations

import ast
import re
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["shortfalls"]

SOURCE = Path(__file__).resolve().parent.parent / "src"
# What a browser fetches by itself: element -> attribute.
LOADED = {
    "audio": "src", "embed": "src", "iframe": "src", "img": "src", "input": "src",
    "object": "data", "script": "src", "source": "src", "track": "src", "video": "src",
}  # fmt: skip
NOT_LOADED = {"canonical", "next", "prev"}
_CSS = re.compile(r"(?:url\(|@import\s*)\s*[\"']?(?:https?:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """What one page loads, links to, and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Called by HTMLParser for each element."""
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "link" and given.get("rel") not in NOT_LOADED:
            self.loads.append(given.get("href", ""))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        if tag in LOADED:
            self.loads.append(given.get(LOADED[tag], ""))


def shortfalls(site: Path) -> Iterator[str]:
    """What a built site does not keep of the promises, in words."""
    pages = {path: _page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        yield from (f"{name} loads {one}" for one in page.loads if _is_elsewhere(one))
        if path.name != "404.html":  # it is shown at any depth: its links start at the root
            yield from (f"{name} links to {link}" for link in page.links if _is_dead(path, link))
        text = path.read_text(encoding="utf-8")
        if "arithmatex" in text:
            yield f"{name} has a formula that is not set"
        if _CSS.search(text):
            yield f"{name} has a style that loads something from elsewhere"
    for path in sorted(site.rglob("*.css")):
        if _CSS.search(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)} loads something from elsewhere"
    known = _inventory(site / "objects.inv")
    yield from (f"the reference has no {name}" for name in _public_names() if name not in known)


@cache
def _page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def _is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def _is_dead(path: Path, link: str) -> bool:
    """Whether a link inside the site leads to no file, or to no anchor of a page."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return True
    anchor = unquote(parts.fragment)
    if not anchor or anchor == "__skip" or target.suffix != ".html":
        return False
    return anchor not in _page(target).anchors


def _inventory(path: Path) -> set[str]:
    """Names of the objects in a Sphinx inventory of version 2, which mkdocstrings writes."""
    content = path.read_bytes()
    start = content.index(b"\n", content.index(b"zlib")) + 1
    lines = zlib.decompress(content[start:]).decode("utf-8").splitlines()
    return {line.split(" ", 1)[0] for line in lines}


@cache
def _public_names() -> tuple[str, ...]:
    """Every name in an `__all__` of the library, but for the command line's."""
    return tuple(_names_in_all())


def _names_in_all() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if "cli" in parts or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        assigned = [
            (node.targets[0], node.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign)
        ]
        # griffe knows no names of `A, B = 1, 2`.
        together = {t.id for left, _ in assigned for t in getattr(left, "elts", ())}
        for left, right in assigned:
            if ast.unparse(left) == "__all__":
                names = set(ast.literal_eval(right)) - together
                yield from (f"{module}.{name}" for name in sorted(names))


if __name__ == "__main__":
    problems = list(shortfalls(Path(sys.argv[1]).resolve()))
    print(*problems, sep="\n")
    sys.exit(1 if problems else 0)
