"""How two adapters differ: in what they add to the base model, and in how they are held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Heads, Part, Replacement, Rescaled, align, met
from superpose.adapter.brought_together import of_its_class
from superpose.adapter.copied import without_differing
from superpose.adapter.heads import with_heads
from superpose.adapter.same_base import plain_name
from superpose.interference.checking import told_apart
from superpose.interference.differing import Difference, ModuleDifference
from superpose.interference.facts import dtypes_of, facts_of
from superpose.lowrank import norm

if TYPE_CHECKING:
    from superpose.names.tree import Tree

Array = NDArray[Any]

ROUNDING = {"float64": 2.0**-40, "float32": 2.0**-18, "float16": 2.0**-9, "bfloat16": 2.0**-6}
"""Relative difference of a delta that factors of each dtype may have from rounding alone: twice
their own spacing in halves; in wider ones room for the arithmetic that made them."""


def diff(
    a: Adapter,
    b: Adapter,
    *,
    tolerance: float | None = None,
    same_base: bool = False,
    heads: Heads = "sum",
    tree: Tree | None = None,
) -> Difference:
    """Say how two adapters differ, from their factors alone.

    tolerance: relative difference up to which a module counts as the same; None is what rounding
    in the coarsest dtype of either allows (ROUNDING). same_base: differing names of the base model
    are known to mean one. heads: "none" compares what is below them; otherwise as `exact_sum`.
    tree: the base model's own names, as for `check`.

    Norms of differences come from a QR where squares would lose them (`lowrank.norm`), so that near
    equals are told apart down to 2e-15.

    Raises Refused when the two name their modules in ways that cannot be compared.
    """
    a_name, b_name = told_apart((a, b))
    a, b = with_heads((a, b), heads)
    facts = facts_of(a, b)
    names = [plain_name(x.base_model) for x in (a, b)]
    one_base = same_base or None in names or names[0] == names[1]
    if tolerance is None:
        tolerance = max(ROUNDING.get(dtype, 0.0) for x in (a, b) for dtype in dtypes_of(x))
    x, y = align(met(without_differing((a, b)), of_its_class((a, b), tree)))
    found = [_module(name, x, y) for name in dict.fromkeys((*x, *y))]
    modules = tuple(module for module, _ in found)
    tensors = [
        _tensor(name, x.replacements.get(name), y.replacements.get(name))
        for name in dict.fromkeys((*x.replacements, *y.replacements))
    ]
    apart = math.hypot(*(distance for _, distance in found))
    sizes = [math.hypot(*(m.norm_a or 0.0 for m in modules))]
    sizes += [math.hypot(*(m.norm_b or 0.0 for m in modules))]
    return Difference(
        a=a_name,
        b=b_name,
        facts=facts,
        modules=modules,
        tensors=tuple(tensors),
        difference=_relative(apart, *sizes),
        tolerance=tolerance,
        one_base=one_base,
    )


def _module(name: str, a: Adapter, b: Adapter) -> tuple[ModuleDifference, float]:
    """Compare one target module; gives |dW_a - dW_b| too."""
    found = [x.get(name) for x in (a, b)]
    norms = [None if delta is None else norm(delta.terms) for delta in found]
    x, y = found
    if x is None or y is None:
        apart = norms[0] if norms[1] is None else norms[1]
        assert apart is not None
    elif x.shape != y.shape or x.place != y.place:
        apart = math.nan
    else:
        apart = norm((x + y.with_coefficients(lambda c: -c)).terms)
    relative = _relative(apart, *(n or 0.0 for n in norms))
    return ModuleDifference(name, norms[0], norms[1], relative), apart


def _tensor(name: str, a: Replacement | None, b: Replacement | None) -> ModuleDifference:
    """Compare what two adapters put in one tensor's place."""
    sizes = [None if x is None else _size(x) for x in (a, b)]
    if a is None or b is None:
        apart = 1.0 if any(sizes) else 0.0
    elif a.shape != b.shape:
        apart = math.nan
    elif a.absolute and b.absolute and a.total == b.total:
        apart = _apart(_written(a), _written(b))
    else:
        apart = _parts_apart(a.parts, b.parts)
    return ModuleDifference(name, sizes[0], sizes[1], apart)


def _size(stored: Replacement) -> float:
    if stored.absolute:
        return float(np.linalg.norm(_written(stored)))
    (part, *others) = stored.parts
    if others or not isinstance(part.value, Rescaled):
        return math.nan
    # DoRA's rows have the lengths m, whatever the base's are.
    return abs(part.coefficient) * float(np.linalg.norm(part.value.magnitude.astype(np.float64)))


def _written(stored: Replacement) -> Array:
    """Give sum_k c_k T_k of an absolute one."""
    return stored.change(np.zeros(stored.shape))


def _parts_apart(a: Sequence[Part], b: Sequence[Part]) -> float:
    """Compare values that depend on the base model by what they are made of; NaN: they cannot."""
    if [type(part.value) for part in a] != [type(part.value) for part in b]:
        return math.nan
    found = []
    for x, y in zip(a, b, strict=True):
        found.append(_apart(np.array(x.coefficient), np.array(y.coefficient)))
        if isinstance(x.value, Rescaled) and isinstance(y.value, Rescaled):
            found.append(_apart(x.value.magnitude, y.value.magnitude))
            minus = tuple(t.with_coefficient(-t.coefficient) for t in y.value.terms)
            lengths = norm(x.value.terms), norm(y.value.terms)
            found.append(_relative(norm((*x.value.terms, *minus)), *lengths))
        else:
            found.append(_apart(x.value.at(None), y.value.at(None)))
    return max(found)


def _apart(x: Array, y: Array) -> float:
    """Give |x - y| / max(|x|, |y|)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    sizes = (float(np.linalg.norm(z)) for z in (x, y))
    return _relative(float(np.linalg.norm(x - y)), *sizes)


def _relative(apart: float, a: float, b: float) -> float:
    largest = max(a, b)
    return apart / largest if largest > 0.0 or math.isnan(apart) else 0.0
