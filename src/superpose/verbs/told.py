"""Results that are a few lines of text, in the terminal as in a notebook."""

from __future__ import annotations

from superpose.shown import Line, Part, Shown

__all__ = ["Told", "size"]


class Told(Shown):
    """A result whose `str` is what it shows."""

    def shown(self) -> tuple[Part, ...]:
        """Give its lines."""
        return tuple(Line(line) for line in str(self).splitlines())


def size(count: int) -> str:
    """Give so many bytes as people say it."""
    if count >= 1e9:
        return f"{count / 1e9:,.2f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
