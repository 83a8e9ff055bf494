"""What adapters store absolutely, worked out with the base model: no share of it left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta, Part, Replacement, Stored, is_head
from superpose.adapter.copied import check_copies
from superpose.adapter.heads import WAYS
from superpose.adapter.made import GIVEN, ON_BASE, SUM
from superpose.compose.method import Method
from superpose.compose.worked_in import worked_in
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.files.differs import missing_hint, resize_hint, shape_hint
from superpose.lowrank import Term, formed
from superpose.names.stored import end_of

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

Array = NDArray[Any]


@dataclass(frozen=True)
class OnBase(Method):
    """The sum with every stored tensor worked out: (1 - sum c_k) T_0 + sum_k c_k T_k.

    No paper: it is what the weighted sum means for a tensor T_k in place of the base's T_0.
    Rows of a tensor that is also stored whole go into it, and so do deltas of modules that are.
    Weights of DoRA stay: they are no stored tensors, see `rescaled_deltas`.

    base: the base model that T_0 is read from. carriers: tensor of the base -> the adapter whose
    file holds a copy of it, which messages name.

    Merging raises DifferentBase when the base has no such tensor, or not the one that an adapter
    carries a copy of, or shapes differ; Refused as `worked_in` does, and for rows that count for a
    tied layer as well which is not stored.
    """

    name: ClassVar[str] = ON_BASE

    base: Checkpoint = field(repr=False)
    carriers: Mapping[str, str | None] = field(default_factory=dict, repr=False, hash=False)

    def of(self, total: Adapter, progress: Progress | None = None) -> Adapter:
        """Give one adapter with what it stores worked out."""
        found = _on_base(total, self.base, self.carriers)
        made = found.made
        if made.method in (GIVEN, SUM):
            made = replace(made, method=self.name, of=f"{made.of} and stored tensors")
        return replace(found, made=made)


def _on_base(adapter: Adapter, base: Checkpoint, carriers: Mapping[str, str | None]) -> Adapter:
    """Give an adapter with every stored tensor worked out; `OnBase` says how."""
    check_copies(adapter, base)
    _check_vocabulary(adapter, base, carriers)
    done: dict[str, Replacement] = {}
    whole = {r.tensor for r in adapter.replacements.values() if r.row is None and r.absolute}
    _check_ends(adapter, whole, base)
    for key, replacement in adapter.replacements.items():
        if not replacement.absolute:
            done[key] = replacement
        elif replacement.row is None or replacement.tensor not in whole:
            rows = _rows_of(adapter, replacement, base)
            done[key] = _worked_out(replacement, rows, base)
    return worked_in(replace(adapter, replacements=done), base)


def rescaled_deltas(adapter: Adapter, base: Checkpoint) -> Iterator[tuple[str, Delta]]:
    """Give what DoRA changes, one module at a time, as an exact delta of full rank.

    The module's own deltas are part of it. One factor is the dense change, (out, in), float64, the
    other the identity. Raises as `OnBase` does.
    """
    for replacement in adapter.replacements.values():
        if replacement.absolute:
            continue
        place = replacement.place
        assert place is not None
        change = replacement.change(base_tensor(replacement, base))
        stored = replacement.stored
        plain = adapter.get(place.key)
        if plain is not None:
            for c, B, A in formed(plain.terms):
                change = change + c * (np.asarray(B, np.float64) @ np.asarray(A, np.float64))
            stored = stored | plain.stored
        high, wide = change.shape
        term = Term(1.0, change, np.eye(wide)) if high > wide else Term(1.0, np.eye(high), change)
        own = None if plain is None else plain.place
        yield place.key, Delta((term,), stored, own)


def base_tensor(replacement: Replacement, base: Checkpoint) -> Array:
    """Read the tensor (or row) that a replacement takes the place of, in the replacement's layout.

    Raises DifferentBase when the base has none of that name or shape.
    """
    name = base.resolve(replacement.tensor)
    if name is None and is_head(replacement.tensor):
        raise Refused(
            f"`{replacement.tensor}` is a head that the base model does not have, and its task "
            f"weights sum to {replacement.total:g}: of what no base has there is no share",
            where=replacement.key,
            hint=WAYS,
        )
    if name is None:
        raise DifferentBase(
            f"the base model has no tensor `{replacement.tensor}`",
            where=replacement.key,
            hint=missing_hint(replacement.tensor, base.names),
        )
    if replacement.row is not None:
        rows = base.entry(name).shape[0]
        if replacement.row >= rows:
            raise DifferentBase(
                f"`{replacement.key}` is beyond the {rows} rows of the base model's `{name}`",
                hint=resize_hint(replacement.row + 1, rows, base.folder, base.config),
            )
        row: Array = base.read_rows(name, replacement.row, replacement.row + 1)[0]
        return row
    tensor = base.read(name)
    place = replacement.place
    tensor = tensor.T if place is not None and base.is_conv1d(place.module) else tensor
    if tensor.shape != replacement.shape:
        raise _other_shape(replacement, tensor.shape, base)
    return tensor


def _other_shape(
    replacement: Replacement, stored: tuple[int, ...], base: Checkpoint
) -> DifferentBase:
    name = replacement.tensor
    hint = shape_hint(name, replacement.shape, stored, base.folder, base.config)
    return DifferentBase(
        f"`{replacement.key}` has shape {replacement.shape} in the adapter and {stored} in the "
        f"base model, and its task weights sum to {replacement.total:g}: a share of what the base "
        "has there is needed",
        where=replacement.key,
        hint=f"Heads for other labels have no sum. {WAYS}" if is_head(name) else hint,
    )


def _check_vocabulary(
    adapter: Adapter, base: Checkpoint, carriers: Mapping[str, str | None]
) -> None:
    """Raise DifferentBase where a share of rows is needed that the base does not have."""
    for key, replacement in adapter.replacements.items():
        tensor, row = replacement.tensor, replacement.row
        name = base.resolve(tensor)
        if name is None or not end_of(tensor) or not replacement.needs_base:
            continue
        own = replacement.shape[0] if row is None else row + 1
        rows = len(adapter.copies[tensor]) if tensor in adapter.copies else own
        stored = base.entry(name).shape[0]
        if own > stored or (row is None and own != stored):
            raise DifferentBase(
                f"of `{key}`, whose task weights sum to {replacement.total:g}, a share of the base "
                f"model's own is needed, and it has {stored} rows there",
                where=key,
                hint=resize_hint(rows, stored, base.folder, base.config, carriers.get(tensor)),
            )


def _rows_of(adapter: Adapter, whole: Replacement, base: Checkpoint) -> list[Replacement]:
    """Give the trained rows of a tensor that is stored whole.

    Where weights are tied PEFT trains the rows of both ends as one, under the embedding's name,
    unless the output layer has rows of its own.
    """
    if whole.row is not None:
        return []
    rows = [r for r in adapter.replacements.values() if r.row is not None]
    own = [r for r in rows if r.tensor == whole.tensor]
    if own or not base.tied or end_of(whole.tensor) != "output":
        return own
    return [r for r in rows if end_of(r.tensor) == "input"]


def _check_ends(adapter: Adapter, whole: set[str], base: Checkpoint) -> None:
    """Raise Refused where rows of tied weights would go into the one end that is stored."""
    rows = {r.tensor for r in adapter.replacements.values() if r.row is not None}
    stored = {end_of(tensor) for tensor in whole}
    for tensor in rows if base.tied else ():
        ends = stored & {"input", "output"}
        if end_of(tensor) == "input" and len(ends) == 1:
            raise Refused(
                f"the trained rows of `{tensor}` count for the output layer as well, which this "
                "base ties to it, and another adapter stores one of the two whole",
                where=tensor,
                hint="superpose bake BASE ADAPTERS writes the exact model.",
            )


def _worked_out(replacement: Replacement, rows: list[Replacement], base: Checkpoint) -> Replacement:
    if not replacement.needs_base and not rows:
        return replacement
    tensor = base_tensor(replacement, base)
    try:
        value = replacement.value(tensor)
        for row in rows:
            assert row.row is not None
            value[row.row] += row.change(tensor[row.row])
    except BadInput as error:
        raise DifferentBase(error.problem, where=error.where, hint=error.hint) from error
    narrow = value if "float64" in replacement.stored else value.astype(np.float32)
    return replace(replacement, parts=(Part(1.0, Stored(narrow)),))
