"""What an adapter stores absolutely: a tensor of the base model that it puts another one for.

A bias trained with `bias="all"`, a module of `modules_to_save`, the rows of trained tokens, a
weight that DoRA rescales. Such an adapter changes the base's own tensor T_0 by T - T_0, so
sum_k c_k (T_k - T_0) is a linear combination as well; only that T_0 has to be known, unless the
coefficients sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.adapter.heads import WAYS, is_head
from superpose.adapter.place import Place
from superpose.errors import BadInput
from superpose.lowrank.stacking import stacked_inputs, stacked_outputs
from superpose.lowrank.terms import Terms, dtype_name, shape as terms_shape

Array: TypeAlias = NDArray[Any]

SUMS_TO_ONE = 1e-12
"""How far coefficients may be from 1: 0.1 added ten times misses it by 1e-16."""


class Value(Protocol):
    """What stands in the place of a tensor of the base."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the base's tensor, in the base's own layout."""

    @property
    def dtype(self) -> str:
        """That it was stored in."""

    def at(self, base: Array | None) -> Array:
        """Give the value, float64, for this tensor of the base; None: it does not matter."""


class Stored(NamedTuple):
    """A tensor as the file holds it: it takes the base's place whatever that was."""

    tensor: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> str:
        """Of the tensor."""
        return dtype_name(self.tensor)

    def at(self, base: Array | None) -> Array:
        """Give the tensor in float64."""
        del base
        return np.asarray(self.tensor, dtype=np.float64)


class Rescaled(NamedTuple):
    """A weight whose rows DoRA gave new lengths: m_i (W_0 + dW)_i / |(W_0 + dW)_i|.

    magnitude: m (out_features,). terms: dW. Source: Liu et al., DoRA (arXiv 2402.09353), eq. 5; as
    peft 0.21.2 merges it, `DoraLinearVariant.merge_safe`.
    """

    magnitude: Array
    terms: Terms

    @property
    def shape(self) -> tuple[int, ...]:
        """(out_features, in_features)."""
        return terms_shape(self.terms)

    @property
    def dtype(self) -> str:
        """Of the magnitude."""
        return dtype_name(self.magnitude)

    def at(self, base: Array | None) -> Array:
        """Give the weight in float64. base: W_0 (out_features, in_features)."""
        if base is None:
            raise BadInput("a DoRA weight cannot be told without the base model's own")
        B, A = stacked_outputs(self.terms, "float64"), stacked_inputs(self.terms, "float64")
        scales = [t.coefficient for t in self.terms for _ in range(t.A.shape[0])]
        moved = np.asarray(base, dtype=np.float64) + (B * np.asarray(scales)) @ A
        lengths = np.linalg.norm(moved, axis=1)
        return np.asarray((self.magnitude.astype(np.float64) / lengths)[:, None] * moved)


class Part(NamedTuple):
    """`coefficient * (value - T_0)`."""

    coefficient: float
    value: Value


@dataclass(frozen=True, eq=False)
class Replacement:
    """sum_k c_k (value_k(T_0) - T_0), one tensor's (or one row's) part of an adapter.

    parts: at least one; values of one shape. tensor: of the base, by name. row: of that tensor,
    None for all of it. owner: the module that was saved whole with it, None for a bias or a row.
    place: of a weight that is given and taken as (out_features, in_features) whatever its layer's
    own layout, None for a tensor that goes by the base's.

    Raises BadInput when there is no part, shapes differ, or a coefficient is NaN or infinite.
    """

    parts: tuple[Part, ...]
    tensor: str
    row: int | None = None
    owner: str | None = None
    place: Place | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadInput("a replacement needs at least one part", where=self.tensor)
        shapes = {part.value.shape for part in self.parts}
        if len(shapes) > 1:
            raise BadInput(f"the parts differ in shape: {sorted(shapes)}", where=self.key)
        if not all(math.isfinite(part.coefficient) for part in self.parts):
            raise BadInput("a coefficient is not finite", where=self.key)

    @property
    def key(self) -> str:
        """Name in an adapter: the base's tensor, with the row in brackets."""
        return self.tensor if self.row is None else f"{self.tensor}[{self.row}]"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the base's tensor, or of its row."""
        return self.parts[0].value.shape

    @property
    def stored(self) -> frozenset[str]:
        """Dtypes that the values came in."""
        return frozenset(part.value.dtype for part in self.parts)

    @property
    def total(self) -> float:
        """Sum of the coefficients: 1 - total is the share of the base's own tensor."""
        return math.fsum(part.coefficient for part in self.parts)

    @property
    def absolute(self) -> bool:
        """Whether every value is a stored tensor: base and result differ by these alone."""
        return all(isinstance(part.value, Stored) for part in self.parts)

    @property
    def needs_base(self) -> bool:
        """Whether the new tensor cannot be told without the base's own."""
        return not self.absolute or abs(self.total - 1.0) > SUMS_TO_ONE

    def __add__(self, other: object) -> Replacement:
        """Join the parts; the same value twice becomes one, which is exact."""
        if not isinstance(other, Replacement):
            return NotImplemented
        joined: dict[int, Part] = {}
        for part in (*self.parts, *other.parts):
            before = joined[_identity(part)].coefficient if _identity(part) in joined else 0.0
            joined[_identity(part)] = part._replace(coefficient=before + part.coefficient)
        # A bias that one adapter trained alone belongs to the module that the other saved whole.
        return replace(self, parts=tuple(joined.values()), owner=self.owner or other.owner)

    def with_coefficients(self, change: Callable[[float], float]) -> Replacement:
        """Give the replacement whose coefficients went through `change`."""
        parts = tuple(p._replace(coefficient=change(p.coefficient)) for p in self.parts)
        return replace(self, parts=parts)

    def value(self, base: Array | None = None) -> Array:
        """Give the new tensor, float64: (1 - total) T_0 + sum_k c_k value_k(T_0).

        base: T_0 (or its row) in the base's layout; None where it is not needed. Raises BadInput
        when it is needed, or has another shape.
        """
        if base is None:
            if self.needs_base:
                raise needs_base(self.key, self.total)
            return np.asarray(sum(p.coefficient * p.value.at(None) for p in self.parts))
        return np.asarray(base, dtype=np.float64) + self.change(base)

    def change(self, base: Array) -> Array:
        """Give what is added to T_0, float64. base: T_0 (or its row), in the base's layout."""
        if tuple(base.shape) != self.shape:
            raise BadInput(
                f"`{self.key}` has shape {self.shape} in the adapter and {tuple(base.shape)} in "
                "the base model",
                where=self.key,
                hint="Was the adapter trained on another base model?",
            )
        wide = np.asarray(base, dtype=np.float64)
        total: Any = np.zeros_like(wide)
        for part in self.parts:
            total = total + part.coefficient * (part.value.at(wide) - wide)
        return np.asarray(total)


def needs_base(key: str, total: float) -> BadInput:
    """Say that a tensor is stored absolutely and the base's own is missing."""
    head = f" A head that was made for the task no base has. {WAYS}" if is_head(key) else ""
    return BadInput(
        f"`{key}` is stored as it is, not as a change of the base model, and its task weights sum "
        f"to {total:g}: the base model's own tensor is needed",
        where=key,
        hint="Give the base model: --base BASE (in Python: base=...). Where the task weights of "
        "the adapters that hold it sum to 1, none is needed." + head,
    )


def _identity(part: Part) -> int:
    value = part.value
    return id(value.tensor) if isinstance(value, Stored) else id(value)
