"""Which tensor of the fine-tuned model is which of the base model's, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from superpose.errors import BadSetting, DifferentBase
from superpose.extraction.kinds import (
    Kind,
    kind_in_diffusers,
    kind_of,
    missing_prefix,
    vocabulary_of,
)
from superpose.files.checkpoint import Checkpoint
from superpose.files.diffusers_model import CLASS

_IN_A_BLOCK = re.compile(r"\.\d+\.")

_HINT = "Is this the model that it was fine-tuned from? Only then is the difference a delta."


class TensorPair(NamedTuple):
    """One tensor of both models.

    name: in the module tree. base, tuned: stored names, None in a model that has none. shapes: in
    both, as stored. target: whether its change becomes factors.
    """

    name: str
    kind: Kind
    base: str | None
    tuned: str | None
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    target: bool

    @property
    def module(self) -> str:
        """Name of the layer whose weight this is."""
        return self.name.removesuffix(".weight")

    @property
    def comparable(self) -> bool:
        """Whether both models have it, in one shape."""
        return self.shapes[0] is not None and self.shapes[0] == self.shapes[1]


def pairs_of(
    base: Checkpoint, tuned: Checkpoint, targets: Collection[str] | None
) -> tuple[TensorPair, ...]:
    """Give every tensor that either model has, in the fine-tuned model's order.

    targets: names of layers or ends of them, as PEFT's `target_modules`; None takes every linear
    layer of both models that is no head and no router.

    Raises DifferentBase when the two are not one architecture; BadSetting when a target is not
    there or is no matrix.
    """
    _check_architecture(base, tuned)
    names = _matched(base, tuned)
    prefix = missing_prefix(base.config, base.names)
    vocabulary, diffusers = vocabulary_of(base.config), CLASS in base.config
    found = []
    for ours, theirs in names:
        shapes = (
            None if ours is None else base.entry(ours).shape,
            None if theirs is None else tuned.entry(theirs).shape,
        )
        stored = _fuller(ours, theirs)
        name = stored if stored.startswith(prefix) or _outside(stored) else prefix + stored
        shape = shapes[0] or shapes[1] or ()
        kind = kind_in_diffusers(name, shape) if diffusers else kind_of(name, shape, vocabulary)
        found.append(TensorPair(name, kind, ours, theirs, shapes, False))
    _check_shapes(found, base, tuned)
    chosen = _chosen(found, targets, base)
    return tuple(pair._replace(target=pair.name in chosen) for pair in found)


def _matched(base: Checkpoint, tuned: Checkpoint) -> list[tuple[str | None, str | None]]:
    """Pair stored names: (base, fine-tuned), None where one model has no such tensor.

    An output layer that only one model has of its own is the other one's embedding, where tied.
    """
    pairs: list[tuple[str | None, str | None]] = []
    for theirs in tuned.names:
        pairs.append((theirs if theirs in base.locations else base.resolve(theirs), theirs))
    seen = {ours for ours, _ in pairs}
    return pairs + [(ours, tuned.resolve(ours)) for ours in base.names if ours not in seen]


def _fuller(ours: str | None, theirs: str | None) -> str:
    """Give a tensor's stored name: files of one model may leave out what those of the other say."""
    if ours is not None and (theirs is None or ours.endswith(f".{theirs}")):
        return ours
    assert theirs is not None
    return theirs


def _outside(name: str) -> bool:
    """Say whether a tensor stands beside the model without a head, not in it."""
    return kind_of(name, (), None) == "head"


def _check_architecture(base: Checkpoint, tuned: Checkpoint) -> None:
    types = [
        str(model.config.get(CLASS) or model.config.get("model_type")) for model in (base, tuned)
    ]
    if types[0] != types[1]:
        raise DifferentBase(
            f"is a {types[1]} model and the base model a {types[0]} one",
            where=tuned.folder,
            hint=_HINT,
        )


def _check_shapes(pairs: list[TensorPair], base: Checkpoint, tuned: Checkpoint) -> None:
    """Let models pass whose repeated linear layers agree; heads and embeddings may differ."""
    for pair in pairs:
        if pair.kind != "linear" or pair.comparable:
            continue
        if None not in pair.shapes:
            problem = (
                f"`{pair.name}` has shape {pair.shapes[1]}, in the base model {pair.shapes[0]}"
            )
        elif not _IN_A_BLOCK.search(pair.name):
            continue  # a head of another name
        elif pair.shapes[0] is None:
            problem = f"has `{pair.name}`, and the base model {base.folder} does not"
        else:
            problem = f"has no `{pair.name}`, and the base model {base.folder} does"
        raise DifferentBase(problem, where=tuned.folder, hint=_HINT)


def _chosen(pairs: list[TensorPair], targets: Collection[str] | None, base: Checkpoint) -> set[str]:
    """Give the names of the tensors whose changes become factors."""
    if targets is None:
        return {pair.name for pair in pairs if pair.kind == "linear" and pair.comparable}
    chosen: set[str] = set()
    for target in targets:
        hit = [p for p in pairs if p.name.endswith(".weight") and _ends(p.module, target)]
        if not hit:
            raise _no_target(target, pairs, base)
        for pair in hit:
            _check_target(pair, base)
        chosen |= {pair.name for pair in hit}
    return chosen


def _ends(module: str, target: str) -> bool:
    return module == target or module.endswith(f".{target}")


def _no_target(target: str, pairs: list[TensorPair], base: Checkpoint) -> BadSetting:
    kinds = sorted({p.module.rpartition(".")[2] for p in pairs if p.kind == "linear"})
    return BadSetting(
        f"no layer of {base.folder} is called `{target}`",
        where="targets",
        hint=f"Its linear layers: {', '.join(kinds)}",
    )


def _check_target(pair: TensorPair, base: Checkpoint) -> None:
    if len(pair.shapes[0] or pair.shapes[1] or ()) != 2:
        reason = "is no matrix"
    elif not pair.comparable:
        reason = "differs in shape, or only one model has it"
    elif base.tied and pair.kind in ("embedding", "head"):
        reason = "is tied: factors of the embedding alone would not change the output layer"
    else:
        return
    raise BadSetting(f"`{pair.module}` {reason}", where="targets")
