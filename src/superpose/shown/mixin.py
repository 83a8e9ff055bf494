"""What every result has that shows itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.shown.parts import Facts, Heat, Line, Part

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Framed", "Shown"]


_LINES, _WIDTH = 3, 160
"""Most lines below a result's name at a Python prompt, and the characters of each."""


class Shown:
    """A result that says once what it shows; terminal, notebook and page draw it."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "__repr__" not in vars(cls):  # a dataclass would write every field of every part
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        parts = self.shown()
        sentences = [part for part in parts if isinstance(part, Line | Facts)]
        told = [said for part in sentences or parts if (said := _said(part))][:_LINES]
        return "\n".join([f"<{type(self).__name__}>", *(f"  {line}" for line in told)])

    def shown(self) -> tuple[Part, ...]:
        """Give what it shows, one part below the other."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        from superpose.shown.notebook import notebook_html

        return notebook_html(self.shown())


class Framed:
    """A result that holds tables, which `to_frame` gives.

    TABLE: the one that it is asked for mostly: a list in what `to_json()` gives, or after a dot a
    list in each of its entries.
    """

    TABLE: ClassVar[str]

    def to_json(self) -> Mapping[str, Any]:
        """Give what the command prints with --json."""
        raise NotImplementedError

    def to_frame(self, table: str | None = None) -> pd.DataFrame:
        """Give one table as a pandas DataFrame; its columns have the names that --json has.

        table: a list of `to_json()`, such as `adapters` of a check; after a dot one that each of
        its entries has, such as `pairs.modules`, where the entry's own values stand in columns
        `pairs.a`, `pairs.b`. None is the result's main table. What is a mapping has a column for
        each key: `weights.math`. Lists of records are tables of their own and no columns.

        Raises BadSetting, with the tables there are, for one that is none; MissingExtra without
        pandas.

        >>> superpose.check("math", "medicine").to_frame()  # doctest: +SKIP
        """
        from superpose.shown.frame import frame_of

        return frame_of(self.to_json(), self.TABLE, table)


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
