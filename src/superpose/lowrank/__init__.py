"""Pure algebra on deltas in factored form, on any array-API namespace."""

from superpose.lowrank.gram import SideGrams, gram, grams, inner, norm, side_grams
from superpose.lowrank.sides import (
    Overlaps,
    input_basis,
    output_basis,
    overlap,
    overlaps,
    principal_angles,
)
from superpose.lowrank.stack import stack
from superpose.lowrank.terms import (
    Array,
    Term,
    Terms,
    dense,
    dtype_name,
    nonzero,
    rank,
    shape,
    upcast,
)
from superpose.lowrank.truncate import Truncated, singular_values, truncate, truncated

__all__ = [
    "Array",
    "Overlaps",
    "SideGrams",
    "Term",
    "Terms",
    "Truncated",
    "dense",
    "dtype_name",
    "gram",
    "grams",
    "inner",
    "input_basis",
    "nonzero",
    "norm",
    "output_basis",
    "overlap",
    "overlaps",
    "principal_angles",
    "rank",
    "shape",
    "side_grams",
    "singular_values",
    "stack",
    "truncate",
    "truncated",
    "upcast",
]
