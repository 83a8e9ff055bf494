"""The update of one target module: dW, held as terms and never formed."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from superpose.adapter.place import Place
from superpose.adapter.scalars import finite, is_scalar
from superpose.arguments import as_tuple
from superpose.errors import BadInput
from superpose.lowrank.canonical_split import canonical
from superpose.lowrank.inner_products import norm
from superpose.lowrank.terms import (
    AnyTerm,
    Array,
    Term,
    Terms,
    Unformed,
    dtype_name,
    rank,
    shape,
)
from superpose.shown import Column, Part, Shown, Table

_COLUMNS = (
    Column("out x in", "shape", lambda shape: f"{shape[0]} x {shape[1]}"),
    Column("rank", "rank", "d"),
    Column("terms", "terms", lambda terms: str(len(terms))),
    Column("parameters", "parameters", ",d"),
    Column("dtype", lambda delta: ", ".join(sorted(delta.stored))),
    Column("norm", lambda delta: norm(delta.terms), ".4g"),
)

FineWeight: TypeAlias = float | Sequence[float]
"""What a target module's delta is multiplied with: a number, or one for each of its directions."""


@dataclass(frozen=True, eq=False)
class Delta(Shown):
    """dW = sum of coefficient * B @ A over `terms`; one target module's part of an adapter.

    terms: at least one Term; B (out_features, rank), A (rank, in_features), one shape for all; or
    a product that is not formed (`Unformed`).
    A fresh LoRA delta is one term whose coefficient is its scaling s. stored: dtypes that the
    factors came in, which computing does not change: an SVD of bfloat16 factors gives float32 ones,
    and is to be written in bfloat16 all the same. Empty means those of the terms. place: which
    part of the base model it changes; None is the weight of the linear layer that the adapter's key
    names.

    Raises BadInput when there is no term, a factor is not a matrix, ranks or shapes disagree, or
    a coefficient is NaN or infinite. The factors' own values are not looked at: whoever reads them
    from a file does that once.
    """

    terms: Terms
    stored: frozenset[str] = frozenset()
    place: Place | None = None

    def __post_init__(self) -> None:
        terms = as_tuple(self.terms, "the terms of a delta")
        if not terms:
            raise BadInput("a delta needs at least one term")
        object.__setattr__(self, "terms", tuple(map(_as_term, terms)))
        for term in self.terms:
            _check_term(term)
        shapes = {term.shape for term in self.terms}
        if len(shapes) > 1:
            raise BadInput(f"the terms of a delta differ in shape: {sorted(shapes)}")
        if not self.stored:
            used = frozenset(dtype_name(x) for term in self.terms for x in term.arrays)
            object.__setattr__(self, "stored", used)

    @classmethod
    def of(cls, B: Array, A: Array, scaling: float = 1.0, place: Place | None = None) -> Delta:
        """Make `scaling * B @ A`: B (out_features, rank), A (rank, in_features)."""
        return cls((Term(float(scaling), B, A),), place=place)

    @property
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features)."""
        return shape(self.terms)

    @property
    def rank(self) -> int:
        """Sum of the terms' ranks: the rank an exact copy on disk has."""
        return rank(self.terms)

    @property
    def parameters(self) -> int:
        """Number of entries of the factors as held."""
        return sum(math.prod(x.shape) for term in self.terms for x in term.arrays)

    def __add__(self, other: object) -> Delta:
        """Join the terms; terms with the very same factors become one, which is exact.

        Raises BadInput when the two change different parts of the base model.
        """
        if not isinstance(other, Delta):
            return NotImplemented
        if self.place != other.place:
            raise BadInput(f"two deltas of different places: {self.place} and {other.place}")
        joined: dict[tuple[int, ...], AnyTerm] = {}
        for term in (*self.terms, *other.terms):
            key = tuple(map(id, term.arrays))
            before = joined[key].coefficient if key in joined else 0.0
            joined[key] = term.with_coefficient(before + term.coefficient)
        return Delta(tuple(joined.values()), self.stored | other.stored, self.place)

    def with_coefficients(self, change: Callable[[float], float]) -> Delta:
        """Give the delta whose coefficients went through `change`; the factors are shared."""
        changed = tuple(t.with_coefficient(change(t.coefficient)) for t in self.terms)
        return Delta(changed, self.stored, self.place)

    def scaled(self, weight: FineWeight) -> Delta:
        """Give the delta times a number, or each of its directions times one of several.

        Directions are the singular triples of the delta, the largest first (`canonical`).

        Raises BadInput for a weight that is not finite, or another number of them than directions.
        """
        each = fine_numbers(weight)
        if not isinstance(weight, Sequence):
            return self.with_coefficients(lambda c: each[0] * c)
        _, B, A = canonical(self.terms)
        if len(each) != len(A):
            raise BadInput(f"{len(each)} task weights, and the delta has {len(A)} directions")
        with np.errstate(over="ignore"):
            B = B * np.asarray(each)
        if not np.isfinite(B).all():
            raise BadInput(f"a task weight of {max(map(abs, each)):g} makes values beyond float64")
        return Delta((Term(1.0, B, A),), self.stored, self.place)

    def __repr__(self) -> str:
        out_features, in_features = self.shape
        return f"Delta({out_features} x {in_features}, rank {self.rank}, {len(self.terms)} term(s))"

    def shown(self) -> tuple[Part, ...]:
        """Give the delta's figures in one row."""
        return (Table.of("One target module's delta", _COLUMNS, [self]),)


def fine_numbers(weight: FineWeight) -> tuple[float, ...]:
    """Give the numbers of a fine weight; raises BadInput for one that is NaN or infinite."""
    each = weight if isinstance(weight, Sequence) else (weight,)
    return tuple(finite(float(one)) for one in each)


def _as_term(term: AnyTerm) -> AnyTerm:
    if isinstance(term, Unformed):
        return term
    parts = as_tuple(term, "a delta's term")
    if len(parts) != len(Term._fields) or not is_scalar(parts[0]):
        raise BadInput(f"a delta's term is (coefficient, B, A), and not {reprlib.repr(term)}")
    return Term(*parts)


def _check_term(term: AnyTerm) -> None:
    if isinstance(term, Term):
        for name, factor in (("B", term.B), ("A", term.A)):
            if not hasattr(factor, "shape"):
                raise BadInput(f"factor {name} is {type(factor).__name__}, not an array")
        _check_factors(tuple(term.B.shape), tuple(term.A.shape))
    if not math.isfinite(term.coefficient):
        raise BadInput(f"a term's coefficient is {term.coefficient}; it must be a finite number")


def _check_factors(b: tuple[int, ...], a: tuple[int, ...]) -> None:
    if len(b) != 2 or len(a) != 2 or b[1] != a[0] or 0 in (*b, *a):
        raise BadInput(
            f"B {b} and A {a} are not the factors of a delta",
            hint="B is (out_features, rank) and A is (rank, in_features), as PEFT stores them.",
        )
