"""Blocks of the README or of a page that a benchmark writes from its record, between comments."""

from __future__ import annotations

from pathlib import Path

from superpose.files import new_file

__all__ = ["README", "block_of", "write_block"]

README = Path(__file__).resolve().parents[1] / "README.md"


def block_of(command: str, page: Path | None = None) -> str:
    """What stands between the markers of a command. Raises ValueError where they are missing.

    page: README.md by default, looked up at each call, so that a test can put a copy in its place.
    """
    text = (page or README).read_text(encoding="utf-8")
    start, end = _borders(text, command)
    return text[start:end].strip("\n")


def write_block(command: str, block: str, page: Path | None = None) -> None:
    """Put a block in the place of the one that stands there. Raises ValueError as block_of does."""
    page = page or README
    text = page.read_text(encoding="utf-8")
    start, end = _borders(text, command)
    with new_file(page) as beside:
        beside.write_text(f"{text[:start]}\n\n{block}\n\n{text[end:]}", encoding="utf-8")


def _borders(text: str, command: str) -> tuple[int, int]:
    begin = f"<!-- made by {command}: begin -->"
    start = text.index(begin) + len(begin)
    return start, text.index(f"<!-- made by {command}: end -->", start)
