"""The base model's own tensors that PEFT saves beside an adapter: whether all are one model's.

PEFT saves embedding and output layer where LoRA is on them or where the vocabulary was resized, and
puts them in the place of the base's when it loads the adapter.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from superpose.errors import DifferentBase, SuperposeWarning

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.files.checkpoint import Checkpoint


def check_copies_agree(adapters: Sequence[Adapter]) -> None:
    """Raise DifferentBase where two adapters hold different copies of one tensor of the base."""
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        for name, tensor in adapter.copies.items():
            other = first.setdefault(name, adapter)
            if other is adapter:
                continue
            before = other.copies[name]
            if not _one(before, tensor):
                raise DifferentBase(
                    f"the base model's `{name}` is another one in {other.label} "
                    f"{_size(before, tensor)}and {adapter.label}",
                    where=name,
                    hint="Was a vocabulary resized, or one trained on another base model? PEFT "
                    "would overwrite the one with the other.",
                )


def without_differing(adapters: Sequence[Adapter]) -> Sequence[Adapter]:
    """Give the adapters without their copies where these differ, for who compares deltas alone.

    It is said with a SuperposeWarning.
    """
    try:
        check_copies_agree(adapters)
    except DifferentBase as error:
        warnings.warn(
            f"{error.problem}; the deltas alone are compared", SuperposeWarning, stacklevel=3
        )
        return [replace(adapter, copies={}) for adapter in adapters]
    return adapters


def check_copies(adapter: Adapter, base: Checkpoint) -> None:
    """Raise DifferentBase, naming the tensor, when a copy is not this base's own tensor.

    An embedding or output layer may have more rows than the base's, or fewer: with a vocabulary
    that was resized PEFT puts the copy in its place. The rows that both have must agree.
    """
    from superpose.files.differs import missing_hint, rows_agree, shape_hint
    from superpose.names.stored import end_of

    for tensor, copy in adapter.copies.items():
        said = f"{adapter.label} was saved with another `{tensor}` than the base model has"
        name = base.resolve(tensor)
        if name is None:
            raise DifferentBase(said, where=tensor, hint=missing_hint(tensor, base.names))
        stored = base.entry(name).shape
        if copy.shape != stored:
            said += f": {copy.shape}, not {stored}"
        if copy.shape[1:] != stored[1:] or (copy.shape != stored and not end_of(tensor)):
            hint = shape_hint(tensor, copy.shape, stored, base.folder, base.config)
            raise DifferentBase(said, where=tensor, hint=hint)
        if not rows_agree(base, name, copy):
            raise DifferentBase(
                said,
                where=tensor,
                hint="Values differ in rows that both have: the adapter was trained on another "
                "base model, or on one whose embedding was trained before. Give that one, saved "
                "with save_pretrained.",
            )


def _one(x: np.ndarray, y: np.ndarray) -> bool:
    from superpose.files.precision import one_up_to_rounding

    return x.shape == y.shape and one_up_to_rounding(lambda: [(x, y)])


def _size(x: np.ndarray, y: np.ndarray) -> str:
    """Give the vocabularies where they differ."""
    return "" if len(x) == len(y) else f"({len(x)} rows, and {len(y)}) "


__all__ = ["check_copies", "check_copies_agree", "without_differing"]
