"""Is a model on disk base + sum, rounded once? Every tensor is looked at, a block at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter
from superpose.adapter.copied import check_copies
from superpose.baking.beside import label_count, parts_with_words
from superpose.baking.blocks import new_rows
from superpose.baking.plan import NewTensor, Plan, as_it_is, make_plan
from superpose.baking.proof import Failure, Proof
from superpose.baking.resized import resized
from superpose.files.base import locate_base
from superpose.files.checkpoint import Checkpoint
from superpose.files.home import with_home
from superpose.files.precision import spacing
from superpose.files.tensors import FLOATS

Array = NDArray[Any]

_HALF = 0.5 + 1e-6
"""Of a unit: what rounding once may cost."""


@dataclass
class _Sums:
    """Over all changed tensors: the farthest value, and the norms of change and of what is lost."""

    worst: str | None = None
    error: float = 0.0
    change: float = 0.0
    lost: float = 0.0
    unmoved: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Norm of what rounding lost, relative to the change; None without a change."""
        return math.sqrt(self.lost / self.change) if self.change > 0.0 else None


def prove_model(
    base: str | os.PathLike[str],
    adapter: Adapter,
    result: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Proof:
    """Compare a model's folder with the base model plus an adapter, or a sum of adapters.

    base: as for `bake`. result: the model's folder.

    A changed tensor holds when each value is within half a unit in the last place of its dtype of
    base + sum, beyond what float32 arithmetic may have done; every other tensor when its bytes
    are the base's (or its values, once rounded, where the dtype is another one). progress: told
    bytes compared and bytes in all.

    Raises BadInput and Refused as `bake` does for base and adapter, and BadInput for a folder that
    holds no model.
    """
    checkpoint = Checkpoint.open(locate_base(base).folder)
    written = Checkpoint.open(with_home(result))
    check_copies(adapter, checkpoint)
    checkpoint = resized(checkpoint, adapter)
    plan = make_plan(checkpoint, adapter)
    sums = _Sums()
    targets = [plan.targets.get(name) or as_it_is(plan, name) for name in plan.names]
    # A model that kept what its class does not ask for is the sum as well.
    targets += [as_it_is(plan, name) for name in plan.dropped & set(written.names)]
    targets += plan.new
    total = sum(target.rows * target.columns for target in targets)
    seen, done = set(), 0
    for target in targets:
        name = written.stored_as(target.name)
        reason = _unlike(written, name, target)
        if name is not None:
            seen.add(name)
        if reason is None and name is not None:
            reason = _compared(plan, written, name, target, sums)
        if reason is not None:
            sums.failures.append(Failure(target.name, reason))
        done += target.rows * target.columns
        if progress is not None:
            progress(done, total)
    sums.failures += _leftovers(plan, written, seen)
    return Proof(
        "model",
        len(targets),
        len(plan.targets),
        sums.worst,
        sums.error,
        sums.share,
        tuple(sums.failures),
        sums.unmoved,
    )


def _unlike(written: Checkpoint, name: str | None, target: NewTensor) -> str | None:
    """Say why a tensor cannot even be compared; None when it can."""
    if name is None:
        return "is missing"
    entry = written.entry(name)
    if entry.shape != target.shape:
        return f"has shape {entry.shape}, not {target.shape}"
    if entry.dtype != target.dtype and not {entry.dtype, target.dtype} <= FLOATS.keys():
        return f"is {entry.dtype}, not {target.dtype}"
    return None


def _compared(
    plan: Plan, written: Checkpoint, name: str, target: NewTensor, sums: _Sums
) -> str | None:
    """Say how a tensor differs from what it has to be; None when it does not."""
    if not target.changes and written.entry(name).dtype == target.dtype:
        return None if _same_bytes(plan, written, name, target) else "is not the base's own"
    farthest = lost = change = 0.0
    as_before = True
    for low, theirs, new, base, noise in _rows(plan, written, name, target):
        finite = np.isfinite(theirs) & np.isfinite(new)
        if not finite.all():
            odd = theirs[~finite], new[~finite]
            if target.changes or not np.array_equal(*odd, equal_nan=True):
                return f"is not finite from row {low} on"
            theirs, new, base, noise = (
                np.where(finite, x, 0.0) for x in (theirs, new, base, noise)
            )
        as_before = as_before and np.array_equal(theirs, base)
        apart = np.abs(theirs - new)
        beyond = np.maximum(apart - noise, 0.0) / spacing(new, written.entry(name).dtype)
        farthest = max(farthest, float(beyond.max(initial=0.0)))
        lost += float(np.sum(apart * apart))
        change += float(np.sum((new - base) ** 2))
    if target.changes:
        sums.change, sums.lost = sums.change + change, sums.lost + lost
        if sums.worst is None or farthest > sums.error:
            sums.worst, sums.error = target.name, farthest
    unmoved = bool(target.changes) and as_before
    sums.unmoved += unmoved
    if farthest <= _HALF:
        return None
    if unmoved:
        return "is the base's own: what the adapters change of it is not there"
    share = f", {math.sqrt(lost / change):.2g} of its change" if change > 0.0 else ""
    dtype = FLOATS[written.entry(name).dtype]
    return f"is off by up to {farthest:.3g} units in the last place of {dtype}{share}"


def _rows(
    plan: Plan, written: Checkpoint, name: str, target: NewTensor
) -> Iterator[tuple[int, Array, Array, Array, Array]]:
    """Give (row, theirs, new, base, noise) in float64, a block at a time."""
    for block in new_rows(plan.checkpoint, target, "float64", bounds=True):
        assert block.noise is not None
        part = written.read_part(name, block.begin * target.columns, block.end * target.columns)
        theirs = part.reshape(block.new.shape).astype(np.float64)
        yield block.begin, theirs, block.new, block.base.astype(np.float64), block.noise


def _same_bytes(plan: Plan, written: Checkpoint, name: str, target: NewTensor) -> bool:
    source = target.source or target.name
    size, step = target.rows * target.columns, 1 << 22
    return all(
        np.array_equal(
            plan.checkpoint.read_part(source, low, min(low + step, size)).view(np.uint8),
            written.read_part(name, low, min(low + step, size)).view(np.uint8),
        )
        for low in range(0, size, step)
    )


def _leftovers(plan: Plan, written: Checkpoint, seen: set[str]) -> list[Failure]:
    """Say what the result holds that no base and no adapter brings about."""
    failures = [
        Failure(name, "is neither in the base model nor in the sum")
        for name in written.names
        if name not in seen
    ]
    if plan.untied and written.tied:
        reason = "ties embedding and output layer, which differ in the sum (tie_word_embeddings)"
        failures.append(Failure("config.json", reason))
    return [*failures, *_misnamed(plan, written)]


def _misnamed(plan: Plan, written: Checkpoint) -> list[Failure]:
    """Say where config.json counts other tokens or labels than the tensors have."""
    found = []
    words = {p.get("vocab_size") for p in parts_with_words(written.config)}
    if plan.vocabulary is not None and words != {plan.vocabulary}:
        reason = f"gives a vocab_size other than the embedding's {plan.vocabulary} rows"
        found.append(Failure("config.json", reason))
    labels = None if plan.classifier is None else plan.classifier.labels
    if labels is not None and label_count(written.config) not in (labels, None):
        reason = f"names other labels than the {labels} of the head"
        found.append(Failure("config.json", reason))
    return found
