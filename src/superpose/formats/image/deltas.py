"""The tensors of one module to the deltas of its weight and its bias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from superpose.adapter import Delta, Place
from superpose.formats.expanded import Array, Factors, mode_products
from superpose.formats.hadamard import hadamard_term
from superpose.formats.image.parts import ModuleTensors
from superpose.formats.kronecker import kronecker_term
from superpose.lowrank import AnyTerm, Term, dtype_name

BIAS, MODULATION = "bias", "modulation"


def image_deltas(
    part: ModuleTensors, tensors: Mapping[str, Array], scale: Callable[[ModuleTensors], float]
) -> Iterator[tuple[str, Delta]]:
    """Give the deltas of a module, each with its key in the adapter.

    tensors: of the file. scale: of a module's factors.
    """
    own = {role: tensors[name] for role, name in part.names.items()}
    if part.layout is not None:
        yield part.module, _of_weight(part, own, scale)
    if "bias" in own:
        yield _column(part.module, BIAS, own["bias"], scale(part))
    if "diff_m" in own:
        yield _column(part.module, MODULATION, own["diff_m"], 1.0)
    for role, parameter in (("w_norm", "weight"), ("diff_b", BIAS), ("b_norm", BIAS)):
        if role in own:
            yield _column(part.module, parameter, own[role], 1.0)


def _of_weight(
    part: ModuleTensors, own: Mapping[str, Array], scale: Callable[[ModuleTensors], float]
) -> Delta:
    used = {dtype_name(x) for role, x in own.items() if role != "alpha"}
    kernel = part.kernel
    place = Place(part.module, kind="convolution", kernel=kernel) if kernel else None
    if part.kind == "diff" and own["diff"].ndim == 1:
        place = Place(part.module, kind="bias")
    term = _term(part, own, 1.0 if part.kind == "diff" else scale(part))
    return Delta((term,), frozenset(used), place)


def _term(part: ModuleTensors, own: Mapping[str, Array], scaling: float) -> AnyTerm:
    if part.kind == "lokr":
        return kronecker_term(own, scaling)
    if part.kind == "loha":
        return hadamard_term(own, scaling)
    factors = _lora(own) if part.kind == "lora" else _difference(own)
    return Term(scaling, factors.B, factors.A)


def _lora(own: Mapping[str, Array]) -> Factors:
    up, down = own["up"], own["down"]
    B, A = up.reshape(up.shape[:2]), down.reshape(down.shape[0], -1)
    return mode_products(own["mid"], B.T, A) if "mid" in own else Factors(B, A)


def _difference(own: Mapping[str, Array]) -> Factors:
    whole = own["diff"].reshape(own["diff"].shape[0], -1)
    rows, columns = whole.shape
    one = _identity(min(rows, columns), whole.dtype)
    return Factors(one, whole) if rows <= columns else Factors(whole, one)


@lru_cache(maxsize=64)
def _identity(size: int, dtype: Any) -> Array:
    """One for all modules of a size: a file of whole differences has hundreds."""
    one = np.eye(size, dtype=dtype)
    one.flags.writeable = False
    return one


def _column(module: str, parameter: str, values: Array, scaling: float) -> tuple[str, Delta]:
    """Give a bias (a norm's weight, a modulation) as the one column of a delta."""
    own = values.shape if values.ndim > 1 else ()
    place = Place(module, parameter, kind="bias", shape=own)
    one = np.ones((1, 1), values.dtype)
    return place.key, Delta((Term(scaling, values.reshape(-1, 1), one),), place=place)
