"""What a result shows, said once and in no way drawn: tables, heat maps, facts and lines.

A terminal, a notebook and a page draw these parts, each by one renderer: `cli/show.py`,
`shown/notebook.py` and `report/shown.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "Cell",
    "Column",
    "Fact",
    "Facts",
    "Form",
    "Heat",
    "Line",
    "Part",
    "Scale",
    "Table",
    "field_of",
    "four_digits",
    "perplexity",
    "written",
]

_LARGEST = 700.0
"""Nats whose perplexity a float still holds."""

Form: TypeAlias = str | Callable[[Any], str]
"""How a figure is written: a format, or a function of it."""


class Cell(NamedTuple):
    """One place of a table.

    beside: what stands in brackets behind the text: what chance gives, an interval. value: what it
    is sorted by. shade: -1 the strongest blue (below zero), 0 none, 1 the strongest orange. names:
    adapters whose plain sum the text is; whoever lacks room may number them, and says so.
    """

    text: str
    beside: str = ""
    value: float | str | None = None
    shade: float = 0.0
    names: tuple[str, ...] = ()

    @classmethod
    def sum_of(cls, names: Iterable[str]) -> Cell:
        """Give `math + medicine`, a plain sum of adapters."""
        named = tuple(names)
        text = " + ".join(named)
        return cls(text, value=text, names=named)


@dataclass(frozen=True)
class Column:
    """A column: its title, and where in a record its figures are and how they are written.

    key: a field of the record, or what gives the value of one. form: None for words, which stand to
    the left (several are a plain sum of adapters); whoever lacks room breaks words and never a
    figure. beside: fields of what stands in
    brackets: one is what chance gives, two, or a pair, are an interval. note: what these are.
    prose: whether its words have lines of their own.
    """

    title: str
    key: str | Callable[[Any], Any] = ""
    form: Form | None = None
    beside: tuple[str, ...] = ()
    note: str = ""
    prose: bool = False

    @property
    def figures(self) -> bool:
        """Whether it holds figures."""
        return self.form is not None

    def cell(self, record: object) -> Cell:
        """Give a record's cell. record: an object with the fields, or a mapping of them."""
        value = self.key(record) if callable(self.key) else field_of(record, self.key)
        if self.form is None:
            if isinstance(value, tuple | list):
                return Cell.sum_of(value)
            return Cell("-" if value is None else str(value), value=value)
        text = written(value, self.form)
        known = value if isinstance(value, int | float) else None
        if not self.beside or text == "-":
            return Cell(text, value=known)
        ends: list[Any] = []
        for name in self.beside:
            end = field_of(record, name)
            ends += end if isinstance(end, tuple | list) else [end]
        form = self.form
        if len(ends) == 1 and isinstance(form, str):
            form = form.lstrip("+")  # chance has no sign
        texts = [written(end, form) for end in ends]
        return Cell(text, "" if set(texts) == {"-"} else " to ".join(texts), known)


@dataclass(frozen=True)
class Table:
    """Rows of cells, as long as `columns`; the first column names the rows.

    remark: what a reader must know of it, such as what stands in brackets, or what is left out.
    shades: what these say, where there are any.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remark: str = ""
    shades: str = ""

    @classmethod
    def of(
        cls, title: str, columns: Iterable[Column], records: Iterable[object], remark: str = ""
    ) -> Table:
        """Give the table of records. columns: each with its key."""
        columns = tuple(columns)
        rows = tuple(tuple(column.cell(record) for column in columns) for record in records)
        return cls(title, columns, rows, remark)


@dataclass(frozen=True)
class Scale:
    """How a figure becomes a shade and a text.

    name: what the figure is, in a legend. unit: behind a figure. low: size up to which there is no
    shade. full: size from which the shade is strongest; between them logarithmic, or linear from
    zero where `low` is 0. form: of the text. steps: figures that a legend shows.
    """

    name: str
    unit: str
    low: float
    full: float
    form: Form
    steps: tuple[float, ...] = ()

    def shade(self, value: float | None) -> float:
        """Give -1 (strongest blue) to 1 (strongest orange)."""
        if value is None or not math.isfinite(value):
            return 0.0
        size = abs(value)
        if self.low > 0:
            strength = math.log(max(size, self.low) / self.low) / math.log(self.full / self.low)
        else:
            strength = size / self.full
        return math.copysign(min(1.0, strength), value)

    def text(self, value: float | None) -> str:
        """Give the figure without its unit; whole numbers where there are tens."""
        if value is not None and self.low > 0 and abs(value) >= 9.95:
            return written(value, f"{'+' if self.signed else ''},.0f")
        return written(value, self.form)

    @property
    def signed(self) -> bool:
        """Whether a figure above zero has a sign."""
        return isinstance(self.form, str) and "+" in self.form


@dataclass(frozen=True)
class Heat:
    """A map of figures, shaded.

    corner: what rows and columns are. values: by row and column; None where there is nothing to
    say, NaN for a figure that does not exist. listed: the same as a table, for where there are no
    shades.
    """

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    scale: Scale
    listed: Table | None = None

    @property
    def table(self) -> Table:
        """The map as a table of shaded cells."""
        columns = (Column(self.corner), *(Column(name, form="") for name in self.columns))
        rows = (
            (Cell(name), *map(self._cell, of))
            for name, of in zip(self.rows, self.values, strict=True)
        )
        return Table(self.title, columns, tuple(rows))

    def _cell(self, value: float | None) -> Cell:
        text = "" if value is None else self.scale.text(value)
        return Cell(text, value=value, shade=self.scale.shade(value))


class Fact(NamedTuple):
    """A fact by name. here: in its place for whoever works on this machine, such as a path."""

    name: str
    text: str
    here: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of one thing, the first of the facts being what it is called."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Line:
    """A sentence. strong: what stands first in it, in bold.

    whole: it is a command or a path, which a terminal breaks nowhere. commands: parts of the text
    that are such.
    """

    text: str
    strong: str = ""
    whole: bool = False
    commands: tuple[str, ...] = ()


Part: TypeAlias = Table | Heat | Facts | Line


def written(value: Any, form: Form) -> str:
    """Write a figure; a dash for one that does not exist (None, NaN).

    What is rounded to zero is not below it: -0.0001 in three digits is 0.000, signed +0.000.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if callable(form):
        return form(value)
    text = format(value, form)
    if text.startswith("-0") and not text.strip("-0.%"):
        return "+" * form.startswith("+") + text[1:]
    return text


def perplexity(nll: float) -> str:
    """Write exp(nll), nats an answer token, to four digits."""
    return four_digits(math.exp(nll) if nll <= _LARGEST else math.inf)


def four_digits(value: float) -> str:
    """Write a size: two decimals, whole numbers from a hundred on, powers from a million on."""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def field_of(record: object, name: str) -> Any:
    """Give a field of an object, or of what JSON holds of it."""
    return record[name] if isinstance(record, Mapping) else getattr(record, name)
