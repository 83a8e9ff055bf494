"""Pure algebra on deltas in factored form, on any array-API namespace."""

from superpose.lowrank.careful import Units, tamed, units
from superpose.lowrank.hadamard import Hadamard
from superpose.lowrank.inner_products import SideGrams, gram, grams, inner, norm, side_grams
from superpose.lowrank.kronecker import Kronecker, from_dense
from superpose.lowrank.sides import (
    Overlaps,
    input_basis,
    output_basis,
    overlap,
    overlaps,
    principal_angles,
)
from superpose.lowrank.stacking import stack
from superpose.lowrank.terms import (
    MOST_OF_ONE,
    AnyTerm,
    Array,
    Term,
    Terms,
    Unformed,
    dense,
    dtype_name,
    formed,
    is_unformed,
    is_zero,
    nonzero,
    rank,
    shape,
    upcast,
)
from superpose.lowrank.truncation import (
    Truncated,
    is_projected,
    singular_values,
    truncate,
    truncated,
)

__all__ = [
    "MOST_OF_ONE",
    "AnyTerm",
    "Array",
    "Hadamard",
    "Kronecker",
    "Overlaps",
    "SideGrams",
    "Term",
    "Terms",
    "Truncated",
    "Unformed",
    "Units",
    "dense",
    "dtype_name",
    "formed",
    "from_dense",
    "gram",
    "grams",
    "inner",
    "input_basis",
    "is_projected",
    "is_unformed",
    "is_zero",
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
    "tamed",
    "truncate",
    "truncated",
    "units",
    "upcast",
]
