"""Base model's own tensors that lie beside an adapter: they must be this base model's."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from superpose.adapter import Adapter
from superpose.baking.beside import carrier
from superpose.baking.rows import OTHER_ROWS, Resized
from superpose.errors import DifferentBase
from superpose.files.checkpoint import Checkpoint
from superpose.files.differs import missing_hint, rows_agree, shape_hint


def check_copies(checkpoint: Checkpoint, adapter: Adapter) -> None:
    """Compare the copies that PEFT saves of embeddings with the base model's own.

    PEFT puts such a copy in the place of the base's when it loads the adapter: with another one,
    as of a vocabulary that was resized, base and adapter do not belong together.

    Raises DifferentBase, naming the tensor.
    """
    for name, copy in adapter.copies.items():
        tensor = checkpoint.resolve(name)
        same = tensor is not None and checkpoint.entry(tensor).shape == copy.shape
        if tensor is None or not (same and rows_agree(checkpoint, tensor, copy)):
            raise _another(checkpoint, name, tensor, copy, carrier(adapter, name))


def _another(
    checkpoint: Checkpoint, name: str, tensor: str | None, copy: NDArray[Any], held_by: str
) -> DifferentBase:
    """Say how a copy differs from the base model's own tensor."""
    said = f"the adapter was saved with another `{name}` than the base model has"
    if tensor is None:
        return DifferentBase(said, where=name, hint=missing_hint(name, checkpoint.names))
    stored = checkpoint.entry(tensor).shape
    if isinstance(checkpoint, Resized) and tensor in checkpoint.values:
        return DifferentBase(
            f"`{name}` has shape {copy.shape} beside one adapter, and another brings {stored}",
            where=name,
            hint=OTHER_ROWS,
        )
    hint = (
        "Its values differ, not its shape: the adapter was trained on another base model, or on "
        "one whose embedding was trained or resized before. Bake onto that one, saved with "
        "save_pretrained."
    )
    if copy.shape != stored:
        said += f": {copy.shape}, not {stored}"
        hint = shape_hint(
            name, copy.shape, stored, checkpoint.folder, checkpoint.config, carrier=held_by
        )
    return DifferentBase(said, where=name, hint=hint)
