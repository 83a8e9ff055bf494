"""What results show: parts that say it once. `notebook` draws them for notebooks."""

from superpose.shown.mixin import Framed, Shown
from superpose.shown.parts import (
    Cell,
    Column,
    Fact,
    Facts,
    Form,
    Heat,
    Line,
    Part,
    Scale,
    Table,
    field_of,
    four_digits,
    perplexity,
    written,
)

__all__ = [
    "Cell",
    "Column",
    "Fact",
    "Facts",
    "Form",
    "Framed",
    "Heat",
    "Line",
    "Part",
    "Scale",
    "Shown",
    "Table",
    "field_of",
    "four_digits",
    "perplexity",
    "written",
]
