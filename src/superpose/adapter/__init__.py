"""The vector space of adapters."""

from superpose.adapter.adapter import Adapter
from superpose.adapter.alignment import align, met, unpooled, untied
from superpose.adapter.delta import Delta
from superpose.adapter.enclosed import enclosed
from superpose.adapter.parents import Parent, formula
from superpose.adapter.place import Place, place_of
from superpose.adapter.replacement import Part, Replacement, Rescaled, Stored
from superpose.adapter.same_base import check_same_base
from superpose.adapter.summary import Kind, Summary, summarise
from superpose.adapter.together import together

__all__ = [
    "Adapter",
    "Delta",
    "Kind",
    "Parent",
    "Part",
    "Place",
    "Replacement",
    "Rescaled",
    "Stored",
    "Summary",
    "align",
    "check_same_base",
    "enclosed",
    "formula",
    "met",
    "place_of",
    "summarise",
    "together",
    "unpooled",
    "untied",
]
