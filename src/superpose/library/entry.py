"""What the index knows of one adapter: the columns of its table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from superpose.adapter import Adapter, Place
from superpose.library.sketch import Sketcher
from superpose.lowrank import SideGrams, Terms, norm, side_grams, singular_values
from superpose.lowrank.terms import beyond_float64

Array: TypeAlias = Any

_HELD = 1e100
"""Squares of singular values below it, and above its inverse, are far inside float64."""


@dataclass(frozen=True)
class IndexedModule:
    """One target module. key: its name in the library. shape: (out_features, in_features).

    place: what of the base it is, where it is no linear layer's weight. sizes: the Gram matrix of
    either factor in the canonical split, which is diagonal: the singular values, descending.
    """

    key: str
    shape: tuple[int, int]
    rank: int
    place: Place | None
    sizes: tuple[float, ...]


@dataclass(frozen=True)
class LibraryEntry:
    """One adapter. number: its own, for ever. name: in the library. given: what `load` takes.

    stamp, content: of its files. base: which base model's group it is in, by `Groups.names`.
    norm: Frobenius, of all deltas. stored: tensors that it stores in place of the base's own, which
    no figure counts. made: in words, how it was made, where it is not plain. problem: why it is in
    no figure. remark: what reading it warned of. sketch, starts: of its deltas and of its A
    factors, each over its norm.
    """

    number: int
    name: str
    given: str
    stamp: str = ""
    content: str = ""
    base_model: str | None = None
    base: str = ""
    format: str = ""
    dtypes: str = ""
    rank: int = 0
    parameters: int = 0
    norm: float = 0.0
    stored: int = 0
    made: str | None = None
    problem: str | None = None
    remark: str | None = None
    starts_norm: float = 0.0
    modules: tuple[IndexedModule, ...] = ()
    sketch: Array | None = None
    starts: Array | None = None

    @property
    def sound(self) -> bool:
        """Whether it is in the figures."""
        return self.problem is None

    @property
    def dtype_names(self) -> tuple[str, ...]:
        """The dtypes that its factors are stored in, one by one."""
        return tuple(self.dtypes.split(", ")) if self.dtypes else ()

    def without_figures(self, problem: str) -> LibraryEntry:
        """Give the entry of an adapter that is in no figure any more, and why."""
        return replace(self, problem=problem, modules=(), sketch=None, starts=None)


def figures_of(
    entry: LibraryEntry, adapter: Adapter, base: str, sketcher: Sketcher
) -> LibraryEntry:
    """Give the entry with all figures of its adapter, whose modules have the library's names.

    Raises Refused where factors would not fit into memory, BadInput for deltas beyond float64.
    """
    modules = _modules(adapter)
    lengths = {module.key: math.hypot(*module.sizes) for module in modules}
    length = math.hypot(*lengths.values())
    if not math.isfinite(length):
        raise beyond_float64(max(lengths, key=lengths.__getitem__))
    sketch, starts, starts_norm = sketcher.of(adapter, length)
    return replace(
        entry,
        base_model=adapter.base_model,
        base=base,
        format=adapter.format,
        dtypes=", ".join(sorted({d for delta in adapter.values() for d in delta.stored})),
        rank=adapter.rank,
        parameters=adapter.parameters,
        norm=length,
        made=None if adapter.made.plain else str(adapter.made),
        problem=None,
        starts_norm=starts_norm,
        modules=modules,
        sketch=sketch,
        starts=starts,
    )


def _modules(adapter: Adapter) -> tuple[IndexedModule, ...]:
    keys = list(adapter)
    found: list[tuple[float, ...]] = [()] * len(keys)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for group in side_grams([(adapter[key].terms,) for key in keys]):
            values = _sizes(group)
            for at, module in enumerate(group.modules):
                found[module] = tuple(values[at])
    return tuple(
        IndexedModule(key, adapter[key].shape, adapter[key].rank, adapter[key].place, sizes)
        for key, sizes in (
            (key, _checked(adapter[key].terms, found[at])) for at, key in enumerate(keys)
        )
    )


def _sizes(group: SideGrams) -> Array:
    """Give the singular values of M deltas of one layout, (M, R): of H G H, H the root of A A^T.

    Small ones are good to 1e-8 of the largest.
    """
    outputs = group.coefficients[:, :, None] * group.output * group.coefficients[:, None, :]
    inputs = np.where(np.isfinite(group.input), group.input, 0.0)
    values, vectors = np.linalg.eigh(inputs)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    middle = root.transpose(0, 2, 1) @ np.where(np.isfinite(outputs), outputs, 0.0) @ root
    return np.sqrt(np.maximum(np.linalg.eigvalsh(middle), 0.0))[:, ::-1]


def _checked(terms: Terms, sizes: Sequence[float]) -> tuple[float, ...]:
    """Give the singular values anew where terms may cancel or squares have left float64."""
    square = math.fsum(s * s for s in sizes)
    if len(terms) == 1 and (1.0 / _HELD < square < _HELD):
        return tuple(map(float, sizes))
    if norm(terms) == 0.0:
        return tuple(0.0 for _ in sizes)
    return tuple(map(float, singular_values(terms)))
