"""What results show: parts that say it once, and a notebook's way of drawing them."""

from superpose.shown.mixin import Shown
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
    few,
    field_of,
    four_digits,
    perplexity,
    written,
)
from superpose.shown.text import escaped, shortened, visible

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
    "Shown",
    "Table",
    "escaped",
    "few",
    "field_of",
    "four_digits",
    "perplexity",
    "shortened",
    "visible",
    "written",
]
