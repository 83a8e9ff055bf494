"""Base model and superposition as one transformers folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from superpose.adapter import Adapter
from superpose.adapter.beside import tell_of_trained
from superpose.adapter.copied import check_copies
from superpose.baking.beside import carry_tokenizer
from superpose.baking.folder import carry, check_target, write_card, write_config, write_index
from superpose.baking.plan import Plan, make_plan
from superpose.baking.resized import resized
from superpose.baking.shards import Shard, shards_of, write_shards
from superpose.errors import BadSetting
from superpose.files import new_folder
from superpose.files.base import locate_base
from superpose.files.checkpoint import Checkpoint
from superpose.files.room import check_model_room
from superpose.files.tensors import FLOATS

Progress = Callable[[int, int], object]
"""Told bytes written and bytes in all, now and then."""

_HEADERS = {name: header for header, name in FLOATS.items()}

_SPARE = 1 << 24
"""Bytes that a folder takes beside its weights, generously."""


@dataclass(frozen=True)
class Baked:
    """What was written.

    path: of the folder. tensors: in all. changed: tensors that an adapter changed. bytes: of the
    weights. files: weight files. untied: embedding and output layer, tied in the base model, came
    to differ. new: tensors that the base model does not have. vocabulary: rows of the embedding,
    and labels: of the head; None where they are the base's. dropped: tensors of the base that
    predict tokens, which a classifier does not have.
    """

    path: Path
    tensors: int
    changed: int
    bytes: int
    files: int
    untied: bool
    new: tuple[str, ...]
    vocabulary: int | None = None
    labels: int | None = None
    dropped: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Say what in the model is otherwise than in the base, beside its weights."""
        said = []
        if self.vocabulary is not None:
            said.append(f"the vocabulary has {self.vocabulary} rows, as the adapter's has")
        if self.labels is not None:
            said.append(f"a classifier with {self.labels} labels")
        if self.untied:
            said.append("embedding and output layer, tied in the base model, differ now")
        return said

    def to_json(self) -> dict[str, object]:
        """Give the same as JSON can hold it."""
        lists = {"new": list(self.new), "dropped": list(self.dropped)}
        return {**vars(self), "path": str(self.path), **lists}


def bake(
    base: str | os.PathLike[str],
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Baked:
    """Write the base model with an adapter, or a sum of adapters, added to its weights.

    base: `smollm2`, a transformers folder with safetensors weights, or a hub name; it is read
    tensor by tensor, so memory does not grow with it. dtype: "float32", "float16", "bfloat16" or
    "float64" for all of the model's floating-point tensors; None keeps each in its own. force:
    replace a model that bake wrote to `path`. progress: told bytes written and bytes in all.

    Every changed tensor is W_0 + change in float32 (float64 where the base is), rounded once; every
    other one is copied byte for byte, with configuration and tokenizer.

    Raises as `files.base.locate_base`; BadInput when a key of the adapter changes nothing that is
    there, a value would not be finite or the disk has no room; DifferentBase when shapes disagree;
    Refused for quantised bases and adapters that are no change of weights; OutputExists. Nothing is
    left behind then.
    """
    target = Path(path)
    converted = _header_dtype(dtype)
    located = locate_base(base)
    checkpoint = Checkpoint.open(located.folder)
    replaceable = check_target(target, checkpoint.folder, force=force)
    check_copies(adapter, checkpoint)
    checkpoint = resized(checkpoint, adapter)
    tell_of_trained(adapter.beside, "which is not in the model")
    plan = make_plan(checkpoint, adapter)
    shards = shards_of(plan, converted)
    total = sum(shard.bytes for shard in shards)
    check_model_room(target, total, _SPARE)
    with new_folder(target, force=force, replaceable=replaceable) as folder:
        carry(checkpoint.folder, folder)
        if plan.vocabulary is not None:
            carry_tokenizer(adapter, folder)
        write_config(plan, adapter, folder, converted)
        write_index(plan, shards, folder)
        write_card(adapter, str(located), plan, folder, converted)
        _write_weights(plan, shards, folder, total, progress)
    return _baked(plan, shards, target, total)


def _header_dtype(dtype: str | None) -> str | None:
    if dtype is None:
        return None
    if dtype not in _HEADERS:
        raise BadSetting(
            f"unknown dtype {dtype!r}", where="dtype", hint=f"Use {', '.join(_HEADERS)}."
        )
    return _HEADERS[dtype]


def _write_weights(
    plan: Plan, shards: list[Shard], folder: Path, total: int, progress: Progress | None
) -> None:
    written = 0

    def done(count: int) -> None:
        nonlocal written
        written += count
        if progress is not None:
            progress(written, total)

    write_shards(plan, shards, folder, done)


def _baked(plan: Plan, shards: list[Shard], target: Path, total: int) -> Baked:
    new = tuple(t.name for t in plan.new)
    return Baked(
        path=target,
        tensors=sum(len(shard.pieces) for shard in shards),
        changed=len(plan.targets) - len(new),
        bytes=total,
        files=len(shards),
        untied=plan.untied,
        new=new,
        vocabulary=plan.vocabulary,
        dropped=tuple(sorted(plan.dropped)),
        labels=None if plan.classifier is None else plan.classifier.labels,
    )
