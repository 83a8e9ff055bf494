"""Tables and heat maps as plain HTML, for notebooks."""

from superpose.html.table import Cell, heat_map, table
from superpose.html.text import escaped, line, shortened, shown, visible

__all__ = ["Cell", "escaped", "heat_map", "line", "shortened", "shown", "table", "visible"]
