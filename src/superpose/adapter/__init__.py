"""The vector space of adapters."""

from superpose.adapter.adapter import Adapter
from superpose.adapter.alignment import align, met, unpooled, untied
from superpose.adapter.brought_together import side_by_side, together
from superpose.adapter.content import content_mark
from superpose.adapter.delta import Delta
from superpose.adapter.enclosing import enclosed
from superpose.adapter.heads import Heads, in_head, is_head, without_heads
from superpose.adapter.made import Made
from superpose.adapter.parents import Parent, formula, sum_or_formula
from superpose.adapter.place import Place, place_of
from superpose.adapter.replacement import Part, Replacement, Rescaled, Stored
from superpose.adapter.same_base import check_same_base

__all__ = [
    "Adapter",
    "Delta",
    "Heads",
    "Made",
    "Parent",
    "Part",
    "Place",
    "Replacement",
    "Rescaled",
    "Stored",
    "align",
    "check_same_base",
    "content_mark",
    "enclosed",
    "formula",
    "in_head",
    "is_head",
    "met",
    "place_of",
    "side_by_side",
    "sum_or_formula",
    "together",
    "unpooled",
    "untied",
    "without_heads",
]
