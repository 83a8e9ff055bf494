"""Is a written adapter the sum? Asked of the factors, and of the base only where it has a say."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np

from superpose.adapter import (
    Adapter,
    Delta,
    Replacement,
    enclosed,
    place_of,
    together,
    untied,
)
from superpose.baking.blocks import new_rows
from superpose.baking.found import tree_of_base
from superpose.baking.plan import NewTensor, Plan, make_plan, seen_as
from superpose.baking.proof import Failure, Proof
from superpose.baking.resized import resized
from superpose.errors import MissingBase
from superpose.files.base import locate_base
from superpose.files.checkpoint import Checkpoint
from superpose.files.precision import rounding_unit
from superpose.lowrank import Terms, norm

_LEAST = 1e-6
"""What is allowed of the sum, relative, whatever dtype it is stored in."""


class _Found:
    """What was compared so far, and how far the farthest was off."""

    def __init__(self) -> None:
        self.checked = 0
        self.worst: str | None = None
        self.error = 0.0
        self.failures: list[Failure] = []

    def add(self, name: str, apart: float, size: float, allowed: float) -> None:
        """Note |result - sum| and |sum| of one part. allowed: of the quotient."""
        self.checked += 1
        error = apart / size if size > 0.0 else (0.0 if apart == 0.0 else math.inf)
        if self.worst is None or not error <= self.error:
            self.worst, self.error = name, error
        if not error <= allowed:
            self.failures.append(Failure(name, f"differs from the sum by {error:.2g} of it"))


def prove_sum(
    adapter: Adapter, result: Adapter, base: str | os.PathLike[str] | None = None
) -> Proof:
    """Compare a written adapter with the sum it claims to be, delta by delta.

    adapter: the sum. base: as for `bake`; None where it is not here. What both store absolutely is
    compared by value where neither depends on the base; where one does, both are added to the
    base's own tensor and compared there.

    A delta holds within twice the rounding unit of the result's dtype, relative to the sum and
    grown by the cancellation among its terms (1e-6 at least).

    Raises DifferentBase when shapes disagree, MissingBase where the base is needed and not given.
    """
    checkpoint = None if base is None else Checkpoint.open(locate_base(base).folder)
    tree = None if checkpoint is None else tree_of_base(checkpoint)
    ours, theirs = together((adapter, result), same_base=True, tree=tree)
    found = _Found()
    covered = _compare_on_the_base(found, ours, theirs, checkpoint)
    for key in dict.fromkeys([*ours, *theirs]):
        if key not in covered:
            _compare_delta(found, key, ours.get(key), theirs.get(key))
    for key in ours.replacements:
        if key not in covered:
            _compare_values(found, ours.replacements[key], theirs.replacements[key])
    changed = len({*ours, *ours.replacements})
    return Proof(
        "adapter", found.checked, changed, found.worst, found.error, None, tuple(found.failures)
    )


def _compare_delta(found: _Found, key: str, ours: Delta | None, theirs: Delta | None) -> None:
    mine: Terms = () if ours is None else ours.terms
    other: Terms = () if theirs is None else theirs.terms
    apart = norm((*mine, *(t.with_coefficient(-t.coefficient) for t in other)))
    parts = sum(norm((term,)) for term in mine)
    size = norm(mine) if mine else 0.0
    unit = max(map(rounding_unit, theirs.stored if theirs else ()), default=0.0)
    # Two equal terms of opposite sign leave nothing that could be relative to.
    if parts > 0.0 and size <= 1e-12 * parts:
        size = parts
    found.add(key, apart, size, max(_LEAST, 2.0 * unit * parts / size) if size > 0.0 else _LEAST)


def _compare_values(found: _Found, ours: Replacement, theirs: Replacement) -> None:
    x, y = ours.value(), theirs.value()
    unit = max(map(rounding_unit, theirs.stored))
    size = float(np.linalg.norm(x))
    found.add(ours.key, float(np.linalg.norm(x - y)), size, max(_LEAST, unit))


def _compare_on_the_base(
    found: _Found, ours: Adapter, theirs: Adapter, base: Checkpoint | None
) -> set[str]:
    """Compare what only the base's own tensors can; give the keys that this settles."""
    keys = _needing_base(ours, theirs)
    if not keys:
        return set()
    if base is None:
        raise MissingBase(
            f"`{sorted(keys)[0]}` is stored as it is, not as a change of the base model, whose own "
            "is needed to compare it"
        )
    checkpoint = resized(base, ours)
    plans = make_plan(checkpoint, ours), make_plan(checkpoint, theirs)
    sides = [_side_by_side(plans, n) for n in dict.fromkeys([*plans[0].targets, *plans[1].targets])]
    asked = {x.source or x.name for x, y in sides if _changed_by(x, y) & keys}
    # Keys that an end of tied weights leaves to the other one are settled there.
    covered = {k for k, tensor in _tensors(ours, theirs) if checkpoint.resolve(tensor) in asked}
    for x, y in sides:
        here = _changed_by(x, y)
        if (x.source or x.name) in asked:
            apart, size = _distance(checkpoint, x, y)
            found.add(x.name, apart, size, max(_LEAST, 4.0 * _unit(theirs, here)))
            covered |= here
    return covered


def _changed_by(ours: NewTensor, theirs: NewTensor) -> set[str]:
    return {change.key for change in (*ours.changes, *theirs.changes)}


def _tensors(*adapters: Adapter) -> Iterator[tuple[str, str]]:
    """Give every key of these adapters with the tensor of the base that it is about."""
    for adapter in adapters:
        yield from ((key, place_of(key, delta.place).tensor) for key, delta in adapter.items())
        yield from ((key, stored.tensor) for key, stored in adapter.replacements.items())


def _needing_base(ours: Adapter, theirs: Adapter) -> set[str]:
    """Give the keys of what one side alone stores absolutely, or what depends on the base.

    A delta of a module that is stored whole as well is part of what is stored.
    """
    both = {
        k: (ours.replacements.get(k), theirs.replacements.get(k))
        for k in {*ours.replacements, *theirs.replacements}
    }
    keys = {k for k, pair in both.items() if any(r is None or r.needs_base for r in pair)}
    return keys.union(enclosed(untied(ours)), enclosed(untied(theirs)))


def _side_by_side(plans: tuple[Plan, Plan], name: str) -> tuple[NewTensor, NewTensor]:
    """Give one tensor as either side makes it, seen as one matrix."""
    known = plans[0].targets.get(name) or plans[1].targets[name]
    # The output layer of a plan that leaves it tied is what becomes of the embedding.
    own = known.source or name
    x, y = (p.targets.get(name) or p.targets.get(own, known._replace(changes=())) for p in plans)
    columns = min(x.columns, y.columns)
    return seen_as(x, columns), seen_as(y, columns)


def _distance(checkpoint: Checkpoint, ours: NewTensor, theirs: NewTensor) -> tuple[float, float]:
    """Give |result - sum| and |sum| of one tensor, Frobenius."""
    apart = size = 0.0
    blocks = (new_rows(checkpoint, t, "float64") for t in (ours, theirs))
    for x, y in zip(*blocks, strict=True):
        apart += float(np.sum((x.new - y.new) ** 2))
        size += float(np.sum((x.new - x.base.astype(np.float64)) ** 2))
    return math.sqrt(apart), math.sqrt(size)


def _unit(adapter: Adapter, keys: set[str]) -> float:
    """Give the coarsest rounding unit of what an adapter stores under these keys."""
    stored = {
        d
        for k in keys
        for x in (adapter.get(k), adapter.replacements.get(k))
        if x
        for d in x.stored
    }
    return max(map(rounding_unit, stored), default=0.0)
