"""A base model whose vocabulary, or whose head, has another size in the new model.

Tokens were added before training, or a classifier got labels of its own: the adapter stores the
tensors whole, or a copy of the base's that it was trained on. They take the place of the base's
own, which have other rows, and no resized base is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Replacement, is_head
from superpose.baking.beside import carrier
from superpose.baking.classifier import classifier_of, dropped_by
from superpose.baking.rows import OTHER_ROWS, Resized
from superpose.baking.ties import has_output, is_shared
from superpose.errors import DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint, stored_dtype
from superpose.files.differs import resize_hint, rows_agree
from superpose.files.header import TensorEntry
from superpose.names.stored import end_of

Array = NDArray[Any]


def resized(checkpoint: Checkpoint, adapter: Adapter) -> Checkpoint:
    """Give the base model with the rows that an adapter brings.

    A copy of the base's embedding with other rows stands in its place, as PEFT puts it there, where
    the rows of both agree. What is stored whole at task weights that sum to 1 stands there whatever
    the base's own is. Else the base is left as it is, and whoever places the adapter says so.

    Raises Refused, with the way out, where one end of the vocabulary would keep the base's rows.
    """
    copies = dict(_copies(checkpoint, adapter))
    wholes = dict(_wholes(checkpoint, adapter))
    _check_rows(checkpoint, adapter, copies.keys() | wholes.keys())
    if not copies and not wholes:
        return checkpoint
    _check_shares(checkpoint, adapter, copies)
    values = {**{name: _padded(checkpoint, name, r.shape) for name, r in wholes.items()}, **copies}
    rows = {len(value) for name, value in values.items() if end_of(name)}
    _check_copied_rows(checkpoint, adapter, values)
    if rows:
        _check_ends(checkpoint, adapter, values, copies, max(rows))
    locations = dict(checkpoint.locations)
    for name, value in values.items():
        entry = TensorEntry(checkpoint.entry(name).dtype, tuple(value.shape), 0, value.nbytes)
        locations[name] = locations[name]._replace(entry=entry)
    own = {f.name: getattr(checkpoint, f.name) for f in fields(Checkpoint)}
    return Resized(
        **{**own, "locations": locations}, values=values, vocabulary=max(rows, default=None)
    )


def _copies(checkpoint: Checkpoint, adapter: Adapter) -> Iterator[tuple[str, Array]]:
    """Give copies that have other rows than the base's tensor, and agree on those of both."""
    for tensor, copy in adapter.copies.items():
        name = checkpoint.resolve(tensor)
        if name is None:
            continue
        entry = checkpoint.entry(name)
        other = end_of(tensor) and _other_rows(copy.shape, entry.shape)
        if other and rows_agree(checkpoint, name, copy):
            yield name, copy.astype(stored_dtype(entry.dtype))


def _wholes(checkpoint: Checkpoint, adapter: Adapter) -> Iterator[tuple[str, Replacement]]:
    """Give what takes the place of a tensor of the base with other rows, whatever that one is."""
    for replacement in adapter.replacements.values():
        name = checkpoint.resolve(replacement.tensor)
        if name is None or replacement.needs_base or replacement.row is not None:
            continue
        known = end_of(replacement.tensor) or is_head(replacement.tensor)
        if known and _other_rows(replacement.shape, checkpoint.entry(name).shape):
            yield name, replacement


def _check_copied_rows(
    checkpoint: Checkpoint, adapter: Adapter, values: Mapping[str, Array]
) -> None:
    """Raise DifferentBase where one adapter's copy and what another brings have other rows."""
    for tensor, copy in adapter.copies.items():
        brought = values.get(checkpoint.resolve(tensor) or "")
        if brought is not None and brought.shape != copy.shape:
            raise DifferentBase(
                f"`{tensor}` has shape {copy.shape} beside one adapter, and another brings "
                f"{brought.shape}",
                where=tensor,
                hint=OTHER_ROWS,
            )


def _check_shares(checkpoint: Checkpoint, adapter: Adapter, copies: Mapping[str, Array]) -> None:
    """Raise Refused for a share of the base's embedding that only another adapter's file holds.

    Nobody can tell whether what one adapter stores was trained from the rows beside the other.
    """
    for key, r in adapter.replacements.items():
        name = checkpoint.resolve(r.tensor) or ""
        if r.row is None and r.needs_base and name in copies:
            rows, stored = r.shape[0], checkpoint.entry(name).shape[0]
            held_by = carrier(adapter, r.tensor)
            raise Refused(
                f"of `{key}`, whose task weights sum to {r.total:g}, a share of the base model's "
                f"own is needed, and it has {stored} rows there",
                where=key,
                hint=resize_hint(rows, stored, checkpoint.folder, checkpoint.config, held_by),
            )


def _check_rows(checkpoint: Checkpoint, adapter: Adapter, brought: Set[str]) -> None:
    """Raise Refused for trained rows that the base does not have, and that nothing else brings."""
    rows = [(checkpoint.resolve(r.tensor), r) for r in adapter.replacements.values()]
    beyond = {
        r.key: (r.row, checkpoint.entry(name).shape[0])
        for name, r in rows
        if name and name not in brought and r.row is not None
    }
    beyond = {key: (row, stored) for key, (row, stored) in beyond.items() if row >= stored}
    if beyond:
        last, stored = max(beyond.values())
        raise Refused(
            f"`{next(iter(beyond))}` is a trained row beyond the {stored} of the base model",
            where="trainable_token_indices",
            hint=resize_hint(last + 1, stored, checkpoint.folder, checkpoint.config),
        )


def _other_rows(own: tuple[int, ...], stored: tuple[int, ...]) -> bool:
    return own[:1] != stored[:1] and own[1:] == stored[1:] and bool(own)


def _padded(checkpoint: Checkpoint, name: str, shape: tuple[int, ...]) -> Array:
    """Give the base's tensor with so many rows; of new ones nothing is asked, they are zeros."""
    entry = checkpoint.entry(name)
    value = np.zeros(shape, stored_dtype(entry.dtype))
    both = min(shape[0], entry.shape[0])
    value[:both] = checkpoint.read_rows(name, 0, both)
    return value


def _check_ends(
    checkpoint: Checkpoint,
    adapter: Adapter,
    values: Mapping[str, Array],
    copies: Mapping[str, Array],
    rows: int,
) -> None:
    """Refuse a vocabulary of which a part would keep the base's rows, or rows that nobody knows."""
    before = min(checkpoint.entry(name).shape[0] for name in values if end_of(name))
    classifier = classifier_of(checkpoint, adapter)
    left_out = dropped_by(classifier, checkpoint)
    for name in checkpoint.names:
        of_words = end_of(name) or _is_output_bias(name)
        sized = checkpoint.entry(name).shape[:1] == (before,)
        if of_words and sized and name not in left_out and len(values.get(name, ())) != rows:
            raise _halved(checkpoint, f"`{name}`", rows, before)
    stored = {end_of(r.tensor) for _, r in _wholes(checkpoint, adapter)}
    headless = not has_output(checkpoint) or (classifier is not None and classifier.kind)
    for name in values.keys() - copies.keys():
        if is_shared(checkpoint, name) and not headless and not stored >= {"input", "output"}:
            raise _halved(checkpoint, f"one end of `{name}`, which is tied,", rows, before)
    for r in adapter.replacements.values():
        name = checkpoint.resolve(r.tensor) or ""
        if r.row is not None and r.row >= before and name in values and name not in copies:
            raise _halved(checkpoint, f"`{r.key}`", rows, before)


def _is_output_bias(name: str) -> bool:
    """Whether a tensor is the bias of what predicts tokens: it has their number."""
    return name.endswith(".bias") and name.startswith(("lm_head", "cls.", "vocab_projector"))


def _halved(checkpoint: Checkpoint, what: str, rows: int, before: int) -> Refused:
    return Refused(
        f"the adapter brings a vocabulary of {rows} tokens, and of {what} only the base model's "
        f"{before} rows are known",
        where=checkpoint.folder,
        hint=resize_hint(rows, before, checkpoint.folder, checkpoint.config),
    )


__all__ = ["resized"]
