"""What every result has that shows itself."""

from __future__ import annotations

from typing import Any

from superpose.shown.parts import Facts, Heat, Line, Part

__all__ = ["Shown"]


_LINES, _WIDTH = 3, 160
"""Most lines below a result's name at a Python prompt, and the characters of each."""


class Shown:
    """A result that says once what it shows; terminal, notebook and page draw it."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "__repr__" not in vars(cls):  # a dataclass would write every field of every part
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        told = [said for part in self.shown() if (said := _said(part))][:_LINES]
        return "\n".join([f"<{type(self).__name__}>", *(f"  {line}" for line in told)])

    def shown(self) -> tuple[Part, ...]:
        """Give what it shows, one part below the other."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        from superpose.shown.notebook import notebook_html

        return notebook_html(self.shown())


def _said(part: Part) -> str:
    """Give the first line of a part: a sentence, facts, or what a table is of."""
    if isinstance(part, Line):
        text = f"{part.strong} {part.text}"
    elif isinstance(part, Facts):
        text = ", ".join(f"{fact.name} {fact.text}" for fact in part.facts)
    else:
        text = part.table.title if isinstance(part, Heat) else part.title
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _WIDTH else f"{first[: _WIDTH - 1]}…"
