"""Results that are a few lines of text: the terminal's, and the same in a notebook."""

from __future__ import annotations

__all__ = ["Told", "size"]


class Told:
    """A result whose `str` is what the command prints."""

    def _repr_html_(self) -> str:
        from superpose.html import line, shown

        return shown(*map(line, str(self).splitlines()))


def size(count: int) -> str:
    """Give so many bytes as people say it."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.{2 if unit == 1e9 else 1}f} {name}"
    return f"{count / 1e3:.1f} kB"
