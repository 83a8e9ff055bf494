"""One basis for many adapters: the joint low rank of each target module.

Of each module U (out, r) and V (r, in) are sought for which all adapters' dW_k are nearest to
U C_k V, by the operator of Compress-then-Merge (`lowrank.joint`; arXiv 2606.03723); C_k = U^T dW_k
V^T is then the best that this basis has for dW_k. Every adapter's delta is brought to length 1
first, so that a small one counts as much as a large one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from superpose.adapter import Adapter, side_by_side
from superpose.adapter.made import made_in_basis
from superpose.adapter.one_basis import BasisCore, BasisMember, OneBasis, SharedModule
from superpose.adapter.progress import Progress, told
from superpose.adapter.scalars import whole_rank
from superpose.compose.by_module import shared_by
from superpose.compose.deltas_alone import split_of
from superpose.compose.usual_size import length_of
from superpose.errors import BadInput, BadSetting, Refused
from superpose.lowrank import Array, Term, Truncated, norm
from superpose.lowrank.canonical_split import Shared, canonical, shared, sizes
from superpose.lowrank.joint import subspaces

if TYPE_CHECKING:
    from superpose.names.tree import Tree

_SETTLED = 1e-7
"""Gain of a round, as a share of the energy, at which the alternation ends."""


class _Held(NamedTuple):
    """One adapter's part of a module. at: which adapter. split: canonical, of length 1."""

    at: int
    split: Term
    length: float


@dataclass
class _Gathered:
    """What is found of one adapter, module by module."""

    cores: dict[str, BasisCore] = field(default_factory=dict)
    zeros: set[str] = field(default_factory=set)
    kept: list[Truncated] = field(default_factory=list)
    sizes: dict[str, Array] = field(default_factory=dict)


def in_one_basis(
    adapters: Sequence[Adapter],
    rank: int | None = None,
    *,
    energy: float | None = None,
    same_base: bool = False,
    tree: Tree | None = None,
    progress: Progress | None = None,
) -> OneBasis:
    """Bring adapters into one basis of each target module.

    rank: of the basis in every module; with energy, the most it may be. energy: each adapter keeps
    at least this share of each module's |dW|^2, in the least rank that is found for it. A rank that
    all of them together do not exceed leaves nothing out. tree: the base model's own names.

    Biases, heads of different shapes and tensors that are stored whole are in no basis; nor is a
    delta of zeros. Raises BadSetting for settings that make no sense, BadInput without an adapter,
    DifferentBase for adapters of different bases, Refused for what DoRA rescales and for products
    too large to be formed.
    """
    _check(adapters, rank, energy)
    parts = side_by_side(adapters, same_base=same_base, tree=tree)
    found = [_Gathered() for _ in parts]
    modules: dict[str, SharedModule] = {}
    for key, _ in told(_in_basis(parts), progress):
        held = _splits(parts, key, found)
        if held:
            basis = _basis(held, _most(parts, key, rank), energy)
            modules[key] = _with_cores(key, held, basis, found)
    for part, mine in zip(parts, found, strict=True):
        mine.kept += _untouched(part, mine)
    largest = max((len(one.inputs) for one in modules.values()), default=1)
    members = (_member(*pair, largest, len(parts)) for pair in zip(parts, found, strict=True))
    return OneBasis(modules, tuple(members))


def _check(adapters: Sequence[Adapter], rank: int | None, energy: float | None) -> None:
    if not adapters:
        raise BadInput("a basis needs at least one adapter")
    if rank is None and energy is None:
        raise BadSetting("is needed, or an energy to keep", where="rank")
    if rank is not None:
        whole_rank(rank)
    if energy is not None and not 0.0 < energy <= 1.0:
        raise BadSetting(f"is {energy}; it must be above 0 and at most 1", where="energy")
    for adapter in adapters:
        for key, stored in adapter.replacements.items():
            if not stored.absolute:
                raise Refused(
                    f"`{key}`: {adapter.label} changes it by DoRA, which is no delta of low rank",
                    where=key,
                    hint="Write that adapter as deltas first: superpose add ADAPTER --base BASE "
                    "--rank 16 -o PLAIN.",
                )


def _in_basis(parts: Sequence[Adapter]) -> dict[str, tuple[int, int]]:
    """Give the modules that have a basis, with their shapes: no biases, and one shape in all."""
    shapes: dict[str, set[tuple[int, int]]] = {}
    for part in parts:
        for key, delta in part.items():
            if delta.place is None or delta.place.kind != "bias":
                shapes.setdefault(key, set()).add(delta.shape)
    return {key: next(iter(found)) for key, found in shapes.items() if len(found) == 1}


def _untouched(part: Adapter, found: _Gathered) -> Iterator[Truncated]:
    """Give what is kept whole of an adapter: what is in no basis."""
    nothing = np.zeros((1, 1))
    for key, delta in part.items():
        if key not in found.cores and key not in found.zeros:
            length = norm(delta.terms)
            yield Truncated(Term(1.0, nothing, nothing), length, length, True)


def _most(parts: Sequence[Adapter], key: str, rank: int | None) -> int | None:
    """Give the most that a basis may have: the groups of a convolution share their module's."""
    first = next(part[key] for part in parts if key in part)
    return None if rank is None else max(1, rank // shared_by(first))


def _splits(parts: Sequence[Adapter], key: str, found: Sequence[_Gathered]) -> list[_Held]:
    held = []
    for at, part in enumerate(parts):
        if key not in part:
            continue
        split = split_of(part[key].terms, key, part.label)
        length = math.hypot(*sizes(split))
        if not length > 0.0:
            found[at].zeros.add(key)
            continue
        root = np.sqrt(length)
        held.append(_Held(at, Term(1.0, split.B / root, split.A / root), length))
    return held


class _Found(NamedTuple):
    """Subspaces between two bases of all. exact: nothing is left out."""

    spaces: Shared
    U: Array
    V: Array
    exact: bool


def _basis(held: Sequence[_Held], most: int | None, energy: float | None) -> _Found:
    """Give the basis of this rank, or of the least that keeps the energy of each."""
    spaces = shared([one.split for one in held])
    whole = max(len(spaces.lefts[0]), len(spaces.rights[0]))
    high = whole if most is None else min(most, whole)
    best = _of_rank(spaces, high, whole)
    low = 1 if energy is not None and (best.exact or _least(best) >= energy) else high
    while energy is not None and low < high:
        middle = (low + high) // 2
        tried = _of_rank(spaces, middle, whole)
        if _least(tried) >= energy:
            best, high = tried, middle
        else:
            low = middle + 1
    return best


def _of_rank(spaces: Shared, rank: int, whole: int) -> _Found:
    if rank >= whole:
        return _Found(spaces, np.eye(len(spaces.lefts[0])), np.eye(len(spaces.rights[0])), True)
    U, V = subspaces(spaces.lefts, spaces.rights, rank, _SETTLED)
    return _Found(spaces, U, V, False)


def _least(found: _Found) -> float:
    """Give the least share of its energy that one of them keeps: all are of length 1."""
    pairs = zip(found.spaces.lefts, found.spaces.rights, strict=True)
    return min(
        float(np.sum(((found.U.T @ left) @ (right.T @ found.V)) ** 2)) for left, right in pairs
    )


def _with_cores(
    key: str, held: Sequence[_Held], basis: _Found, found: Sequence[_Gathered]
) -> SharedModule:
    """Note each adapter's core, and give the basis in the module's own space."""
    spaces, U, V, exact = basis
    for one, left, right in zip(held, spaces.lefts, spaces.rights, strict=True):
        core = _core(one.length * (U.T @ left), right.T @ V)
        kept = one.length
        if not exact:
            whole = core.output if core.input is None else core.output @ core.input
            kept = min(one.length, length_of(whole))
        mine = found[one.at]
        mine.cores[key] = core
        mine.sizes[key] = one.length * sizes(one.split)
        mine.kept.append(Truncated(one.split, kept, one.length, exact))
    return SharedModule(spaces.outputs @ U, V.T @ spaces.inputs.T)


def _core(left: Array, right: Array) -> BasisCore:
    """Give left @ right as an adapter's core: two factors where its rank is below the basis's."""
    small = canonical((Term(1.0, left, right),))
    if small.B.shape[1] < right.shape[1]:
        return BasisCore(small.B, small.A)
    return BasisCore(left @ right, None)


def _member(adapter: Adapter, found: _Gathered, rank: int, adapters: int) -> BasisMember:
    made = made_in_basis(adapter, rank, adapters, found.kept)
    return BasisMember(adapter, found.cores, frozenset(found.zeros), made, found.sizes)
