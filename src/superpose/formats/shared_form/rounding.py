"""Adapters in one basis as a file holds them, and the ordinary adapters that this means.

The bases are rounded to the dtype of the file, the cores to float32 or better; of these numbers,
and of nothing else, the ordinary factors are made: B = U output and A = input V, each entry summed
in float64 in one order and rounded once. So the same file gives the same bits on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.adapter.one_basis import BasisCore, BasisMember, OneBasis, SharedModule
from superpose.formats.folded import cast, check_range, rounded_term, widest_dtype
from superpose.formats.rounding import Loss
from superpose.lowrank import Array, Term, norm


@dataclass(frozen=True, eq=False)
class InShared:
    """One adapter of a shared form.

    adapter: the ordinary one, to the bit, with all that it holds. cores: rounded, of its modules
    that are in the basis. dtype: of its factors.
    """

    adapter: Adapter
    cores: Mapping[str, BasisCore]
    dtype: str


@dataclass(frozen=True, eq=False)
class SharedForm:
    """What the file holds. modules: the bases, rounded. members: in order.

    dtype, compact: that the ordinary adapters are written with, as `superpose.save` takes them.
    """

    modules: Mapping[str, SharedModule]
    members: tuple[InShared, ...]
    dtype: str | None = None
    compact: bool = False


def shared_form(basis: OneBasis, dtype: str | None = None, *, compact: bool = False) -> SharedForm:
    """Round a basis and the cores in it, and make of them the ordinary adapters.

    dtype: of bases and adapters; None gives each adapter the narrowest that holds its own factors,
    and the bases the narrowest that holds all of these.

    Raises BadInput when a value is too large for the dtype.
    """
    own = [dtype or widest_dtype(member.adapter) for member in basis.members]
    wide = dtype or _together(own)
    small = "float64" if wide == "float64" else "float32"
    modules = {
        key: SharedModule(_cast(U, wide, key), _cast(V, wide, key))
        for key, (U, V) in basis.modules.items()
    }
    members = (
        _member(member, basis, modules, small, chosen)
        for member, chosen in zip(basis.members, own, strict=True)
    )
    return SharedForm(modules, tuple(members), dtype, compact)


def ordinary_delta(like: Delta, module: SharedModule, core: BasisCore, dtype: str) -> Delta:
    """Give the delta that a core means, in factors of this dtype. like: has its place."""
    B = _cast(_product(module.outputs, core.output), dtype, "lora_B")
    wide = module.inputs if core.input is None else _product(core.input, module.inputs)
    return Delta((Term(1.0, B, _cast(wide, dtype, "lora_A")),), place=like.place)


def zero_delta(shape: tuple[int, int], like: Delta, dtype: str) -> Delta:
    """Give a delta of zeros."""
    high, wide = shape
    B, A = (cast(np.zeros(size, np.float32), dtype) for size in ((high, 1), (1, wide)))
    return Delta((Term(1.0, B, A),), place=like.place)


def _member(
    member: BasisMember,
    basis: OneBasis,
    modules: Mapping[str, SharedModule],
    small: str,
    dtype: str,
) -> InShared:
    cores = {
        key: BasisCore(
            _cast(core.output, small, key),
            None if core.input is None else _cast(core.input, small, key),
        )
        for key, core in member.cores.items()
    }
    deltas: dict[str, Delta] = {}
    losses: list[Loss] = []
    for key, delta in member.adapter.items():
        if key in cores:
            deltas[key] = ordinary_delta(delta, modules[key], cores[key], dtype)
            losses.append(_loss(basis.modules[key], member.cores[key], deltas[key]))
        elif key in member.zeros:
            deltas[key] = zero_delta(delta.shape, delta, dtype)
        else:
            deltas[key], lost = _own(key, delta, dtype)
            losses.append(lost)
    size = math.hypot(*(loss.exact or 0.0 for loss in losses))
    error = math.hypot(*(loss.lost for loss in losses)) / size if size > 0.0 else 0.0
    adapter = replace(
        member.adapter,
        deltas=deltas,
        path=None,
        parents=member.adapter.as_parents(),
        made=replace(member.made, rounding_error=error),
    )
    return InShared(adapter, cores, dtype)


def _loss(module: SharedModule, core: BasisCore, rounded: Delta) -> Loss:
    """Measure what rounding basis, core and factors cost."""
    wide = module.inputs if core.input is None else core.input @ module.inputs
    exact = Term(1.0, module.outputs @ core.output, wide)
    (term,) = rounded.terms
    return Loss(norm((exact, term.with_coefficient(-1.0))), norm((exact,)))


def _own(key: str, delta: Delta, dtype: str) -> tuple[Delta, Loss]:
    """Give what is in no basis as a file of the dtype holds it, and what that cost."""
    bias = delta.place is not None and delta.place.kind == "bias"
    term, lost = rounded_term(delta, dtype, is_bias=bias, name=partial("{1} of {0}".format, key))
    whole = lost if lost.exact is not None else lost._replace(exact=norm(delta.terms))
    return Delta((term,), place=delta.place), whole


def _together(dtypes: Iterable[str]) -> str:
    """Give the narrowest dtype that holds values of all of these."""
    found = set(dtypes)
    if len(found) == 1:
        return found.pop()
    return "float64" if "float64" in found else "float32"


def _cast(x: Array, dtype: str, name: str) -> Array:
    rounded = cast(np.ascontiguousarray(x), dtype)
    check_range(rounded, name, dtype)
    return rounded


def _product(x: Array, y: Array) -> Array:
    """Give x @ y in float64, each entry summed in one order: BLAS has another for each machine."""
    left, right = x.astype(np.float64), y.astype(np.float64)
    total = np.zeros((left.shape[0], right.shape[1]))
    for at in range(left.shape[1]):
        total += np.multiply.outer(left[:, at], right[at])
    return total
