"""Which stored tensors an adapter changes, and what becomes of tied embeddings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from superpose.adapter import Adapter, Replacement, place_of
from superpose.baking.change import Band
from superpose.baking.classifier import Classifier, classifier_of, dropped_by
from superpose.baking.layout import (
    Placed,
    Shape,
    is_apart,
    matrix_shape,
    place_delta,
    place_replacement,
)
from superpose.baking.rows import Resized
from superpose.baking.ties import (
    End,
    check_no_end,
    ends_of,
    expanded,
    free_name,
    has_output,
    is_shared,
    rows_at_both_ends,
    same,
    twin,
)
from superpose.errors import Refused
from superpose.files.checkpoint import Checkpoint
from superpose.files.file_format import Family, family_of_format
from superpose.files.tensors import FLOATS
from superpose.names.stored import end_of

BOTH: tuple[End, End] = ("input", "output")


class NewTensor(NamedTuple):
    """A tensor of the new model that is not the base's own.

    name: in the new model. source: the base's tensor that it starts from, None for one that the
    adapter brings along. changes: what is added, to the tensor as a matrix (rows, columns).
    """

    name: str
    source: str | None
    shape: Shape
    dtype: str
    rows: int
    columns: int
    changes: tuple[Band, ...]


@dataclass(frozen=True)
class Plan:
    """What bake has to do.

    targets: by name. untied: the output layer gets a tensor of its own, or the two ends of tied
    weights come to differ. classifier: what the model is with the head that an adapter stores, None
    without one. dropped: tensors of the base that such a model does not have.
    """

    checkpoint: Checkpoint
    targets: Mapping[str, NewTensor]
    untied: bool
    classifier: Classifier | None = None
    dropped: frozenset[str] = frozenset()

    @property
    def vocabulary(self) -> int | None:
        """Rows of the new model's embedding, None where they are the base's."""
        return self.checkpoint.vocabulary if isinstance(self.checkpoint, Resized) else None

    def is_copied(self, target: NewTensor) -> bool:
        """Whether a tensor is the base's own, bytes that its file holds."""
        brought = isinstance(self.checkpoint, Resized) and target.name in self.checkpoint.values
        return not target.changes and target.name == target.source and not brought

    @property
    def names(self) -> list[str]:
        """The base's tensors that the new model has as well."""
        return [name for name in self.checkpoint.names if name not in self.dropped]

    @property
    def new(self) -> list[NewTensor]:
        """Targets that the base model has no tensor of that name for."""
        return [t for t in self.targets.values() if t.name not in self.checkpoint.locations]


@dataclass
class _Found:
    """Changes by stored tensor; those of tied weights by the end that they are about.

    brought: what the base has no tensor for. outputs: what the adapter calls the output layer's.
    """

    plain: dict[str, list[Band]] = field(default_factory=dict)
    tied: dict[str, dict[End, list[Band]]] = field(default_factory=dict)
    brought: list[Replacement] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def make_plan(checkpoint: Checkpoint, adapter: Adapter) -> Plan:
    """Find what each delta and each stored tensor of an adapter changes.

    Raises BadInput, naming the key, when one changes nothing that is there; DifferentBase when
    shapes disagree; Refused when the adapter is no change of a base model's weights.
    """
    _refuse(adapter)
    adapter = expanded(checkpoint, adapter)
    found = _Found()
    once = {embedding: output for output, embedding in adapter.tied.items()}
    for key, delta in adapter.items():
        parameter = place_of(key, delta.place).tensor
        tensor = checkpoint.resolve(parameter)
        ends: Sequence[End] = BOTH if key in once else ends_of(parameter)
        _add(checkpoint, found, place_delta(checkpoint, key, delta, tensor), ends, parameter)
    everywhere = rows_at_both_ends(adapter) if checkpoint.tied else set()
    for key, replacement in adapter.replacements.items():
        tensor = checkpoint.resolve(replacement.tensor)
        if tensor is None and _is_new(replacement) and not is_apart(checkpoint, replacement.tensor):
            found.brought.append(replacement)
            continue
        ends = BOTH if key in everywhere else ends_of(replacement.tensor)
        placed = place_replacement(checkpoint, key, replacement, tensor)
        if key in everywhere and tensor and (other := twin(checkpoint, tensor)):
            placed += place_replacement(checkpoint, key, replacement, other)
        _add(checkpoint, found, placed, ends, replacement.tensor)
    return _plan(checkpoint, found, classifier_of(checkpoint, adapter))


def as_it_is(plan: Plan, name: str) -> NewTensor:
    """Give a stored tensor that nothing changes as a target."""
    entry = plan.checkpoint.entry(name)
    return NewTensor(name, name, entry.shape, entry.dtype, *matrix_shape(entry.shape), ())


def _refuse(adapter: Adapter) -> None:
    if family_of_format(adapter.format) != Family.BASE:
        raise Refused(
            f"is {adapter.format}'s: its target modules are not named as a transformers model "
            "names them",
            where=adapter.path or adapter.name,
        )
    if adapter.settings.get("layer_replication"):
        raise Refused(
            "repeats layers of the base model (layer_replication), each with a delta of its own; "
            "the base model's files hold such a layer once",
            where=adapter.path or adapter.name,
        )


def _is_new(replacement: Replacement) -> bool:
    """Whether it is a tensor that can be told, and put there, without one of the base's."""
    return not replacement.needs_base and replacement.row is None and replacement.owner is not None


def _add(
    checkpoint: Checkpoint,
    found: _Found,
    placed: Sequence[Placed],
    ends: Sequence[End],
    parameter: str,
) -> None:
    if "output" in ends and end_of(parameter) == "output":
        found.outputs.append(parameter)
    for tensor, change in placed:
        dtype = checkpoint.entry(tensor).dtype
        if dtype not in FLOATS:
            raise Refused(
                f"`{tensor}` of the base model is {dtype}, to which no delta can be added",
                where=change.key,
            )
        if ends and is_shared(checkpoint, tensor):
            by_end = found.tied.setdefault(tensor, {"input": [], "output": []})
            for end in ends:
                by_end[end].append(change)
        else:
            if not ends:
                check_no_end(checkpoint, tensor)
            found.plain.setdefault(tensor, []).append(change)


def _plan(checkpoint: Checkpoint, found: _Found, classifier: Classifier | None) -> Plan:
    targets: dict[str, NewTensor] = {}
    untied = False
    for tensor, by_end in found.tied.items():
        ours: End = end_of(tensor) or "input"
        theirs: End = "output" if ours == "input" else "input"
        mine, others = by_end[ours], by_end[theirs]
        classifies = classifier is not None and classifier.kind is not None
        headless = classifies or not has_output(checkpoint)
        alone = theirs == "output" and not others and headless
        if not alone and not same(mine, others):
            untied = True
            name = free_name(checkpoint, tensor, theirs, found.outputs)
            targets[name] = _target(checkpoint, name, tensor, others)
        if mine:
            targets[tensor] = _target(checkpoint, tensor, tensor, mine)
    for tensor, changes in found.plain.items():
        targets[tensor] = _target(checkpoint, tensor, tensor, changes)
        untied |= end_of(tensor) is not None and checkpoint.tied
    for replacement in found.brought:
        targets[replacement.tensor] = _brought(checkpoint, replacement)
    dropped = dropped_by(classifier, checkpoint) - targets.keys()
    brought = checkpoint.values if isinstance(checkpoint, Resized) else {}
    for name in brought.keys() - targets.keys() - dropped:
        targets[name] = _target(checkpoint, name, name, [])
    return Plan(checkpoint, targets, untied, classifier, dropped)


def _target(checkpoint: Checkpoint, name: str, source: str, changes: list[Band]) -> NewTensor:
    entry = checkpoint.entry(source)
    seen = NewTensor(
        name, source, entry.shape, entry.dtype, *matrix_shape(entry.shape), tuple(changes)
    )
    return seen_as(seen, min((c.columns for c in changes), default=seen.columns))


def seen_as(target: NewTensor, columns: int) -> NewTensor:
    """See a target as a matrix of so many columns, which divide those of its changes."""
    rows = math.prod(target.shape) // max(columns, 1)
    changes = tuple(_narrowed(change, columns) for change in target.changes)
    return target._replace(rows=rows, columns=columns, changes=changes)


def _narrowed(change: Band, columns: int) -> Band:
    """See a stack of experts that was stored absolutely as its deltas do: row below row."""
    times = change.columns // max(columns, 1)
    if times <= 1:
        return change
    return change._replace(
        first=change.first * times,
        height=change.height * times,
        at=change.at * times,
        columns=columns,
    )


def _brought(checkpoint: Checkpoint, replacement: Replacement) -> NewTensor:
    """Give the target of a tensor that the base has none of: the head of a classifier."""
    rows, columns = matrix_shape(replacement.shape)
    change = Band(replacement.key, replacement, False, 0, rows, 0, columns)
    dtypes = Counter(checkpoint.entry(name).dtype for name in checkpoint.names)
    dtype = next((d for d, _ in dtypes.most_common() if d in FLOATS), "F32")
    return NewTensor(replacement.tensor, None, replacement.shape, dtype, rows, columns, (change,))
