"""Figures of the tournament, and tables of them, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["figure", "nats", "percent", "plain", "signed", "spearman", "table", "yes_or_no"]


def spearman(found: Mapping[str, Any] | None) -> str:
    """Give a correlation with its interval; nothing where it was not judged."""
    return "" if found is None else figure(found["spearman"], found["spearman_interval"])


def percent(found: Mapping[str, Any]) -> str:
    """Give a share in per cent, with its interval."""
    value, interval = found["value"], found["interval"]
    ends = "" if interval is None else f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"
    return f"{100 * value:.0f} %{ends}"


def figure(value: float | None, interval: Sequence[float] | None) -> str:
    """Give a value with its interval; `none` for a value that does not exist."""
    if value is None:
        return "none"
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def signed(interval: Sequence[float] | None) -> str:
    """Give the ends of a difference's interval with their signs."""
    return "none" if interval is None else f"[{interval[0]:+.2f}, {interval[1]:+.2f}]"


def nats(value: float | None) -> str:
    """Give nats to four digits."""
    return "" if value is None else f"{value:.4f}"


def yes_or_no(holds: bool) -> str:
    """Say whether a bound holds; that it does not stands out."""
    return "yes" if holds else "**no**"


def plain(value: float | None) -> str:
    """Give two significant digits."""
    return "" if value is None else f"{value:.2g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give a table's lines, the first column to the left, and an empty one behind."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join(["---", *["---:"] * (len(head) - 1)]) + " |"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""
