"""Adapters brought to one structure before they are added or compared.

Two files may hold one kind of delta in two ways: tied to another layer or not, pooled or not. Which
way it was stored changes no delta, so one of them is expanded; what cannot agree is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from superpose.adapter.copied import check_copies_agree
from superpose.adapter.delta import Delta
from superpose.adapter.fused import one_form
from superpose.adapter.image_marks import is_image
from superpose.adapter.one_name import one_name
from superpose.adapter.place import Place
from superpose.adapter.stacks import one_stack
from superpose.errors import DifferentBase, Refused
from superpose.files.file_format import Family, family_of_format
from superpose.lowrank.terms import Term, formed, upcast
from superpose.names.stored import end_of, may_be_conv1d

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree


def align(adapters: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """Give adapters that `met` gave, held so that their deltas can be added key by key.

    Raises Refused when one kind of name cannot be told from another (a kohya file beside a PEFT
    folder), or layers are replicated in different ways; DifferentBase when the copies of the base's
    own tensors differ.
    """
    _check_formats(adapters)
    _check_replication(adapters)
    check_copies_agree(adapters)
    _check_rows(adapters)
    if any(a.tied != adapters[0].tied for a in adapters):
        adapters = [untied(a) for a in adapters]
    adapters = _as_layers(_with_kernels(adapters))
    pooled = {m for a in adapters for m, d in a.items() if d.place and d.place.pooled > 1}
    return tuple(_resolved(a, adapters, pooled) if pooled else a for a in adapters)


def met(adapters: Sequence[Adapter], tree: Tree | None = None) -> tuple[Adapter, ...]:
    """Give the same adapters, each weight under one name and in one form (fused, stacked) in all.

    tree: the base model's own names, where it is at hand: they decide. Raises as `one_name`,
    `one_form` and `one_stack` do, or for image LoRAs `with_one_naming`.
    """
    if any(map(is_image, adapters)):
        from superpose.adapter.image_names import with_one_naming  # a PEFT folder needs none of it

        return with_one_naming(adapters)
    return one_stack(one_form(one_name(adapters, tree), tree), tree)


def untied(adapter: Adapter) -> Adapter:
    """Give the adapter with a delta of its own for each output layer that is tied to another."""
    if not adapter.tied:
        return adapter
    deltas = dict(adapter.deltas)
    for output, embedding in adapter.tied.items():
        source = adapter.deltas[embedding]
        terms = tuple(Term(t.coefficient, t.A.T, t.B.T) for t in formed(source.terms))
        deltas[output] = Delta(terms, source.stored)
    return replace(adapter, deltas=deltas, tied={})


def unpooled(delta: Delta) -> Delta:
    """Give a QA-LoRA delta as a plain one: each column of A stands for a group of inputs.

    The layer sees the mean of each group times the number of groups. Source: peft 0.21.2,
    `QALoraLinearVariant.forward`.
    """
    assert delta.place is not None
    group = delta.place.pooled
    terms = tuple(
        Term(t.coefficient * t.A.shape[1] / group, t.B, np.repeat(upcast(t.A), group, axis=1))
        for t in formed(delta.terms)
    )
    return Delta(terms, delta.stored)


def _with_kernels(adapters: Sequence[Adapter]) -> Sequence[Adapter]:
    """Say the kernel of a convolution where one file stores its delta as a matrix.

    LoHa and LoKr are stored flattened, and a kernel of one position may be left out: the matrices
    are the same, and another adapter tells what they are.
    """
    kernels = {
        module: delta.place
        for adapter in adapters
        for module, delta in adapter.items()
        if delta.place is not None and delta.place.kind == "convolution" and delta.place.blocks == 1
    }
    if not kernels:
        return adapters
    return [
        replace(a, deltas={m: _placed(d, kernels.get(m)) for m, d in a.items()}) for a in adapters
    ]


def _placed(delta: Delta, place: Place | None) -> Delta:
    return replace(delta, place=place) if delta.place is None and place is not None else delta


def _as_layers(adapters: Sequence[Adapter]) -> Sequence[Adapter]:
    """Take a weight that one file changes as a parameter for its layer's where another says so.

    The two are one where the layer is linear. A Conv1D's parameter is the other way round.
    """
    layers = {m for a in adapters for m, d in a.items() if d.place is None}
    found = [_parameters(a) & layers for a in adapters]
    for module in set().union(*found):
        if may_be_conv1d(module):
            raise Refused(
                f"`{module}` is changed as a parameter (target_parameters) in one adapter and as a "
                "layer in another, and a Conv1D keeps its weight the other way round",
                where=module,
            )
    return [
        replace(a, deltas={**a, **{m: replace(a[m], place=None) for m in own}}) if own else a
        for a, own in zip(adapters, found, strict=True)
    ]


def _parameters(adapter: Adapter) -> set[str]:
    return {m for m, d in adapter.items() if d.place == Place(m, kind="experts")}


def _resolved(adapter: Adapter, adapters: Sequence[Adapter], pooled: set[str]) -> Adapter:
    deltas = dict(adapter.deltas)
    for module in pooled & deltas.keys():
        others = [a[module] for a in adapters if module in a]
        if len({d.place for d in others}) > 1:
            deltas[module] = _as_plain(deltas[module], others, module)
    return replace(adapter, deltas=deltas)


def _as_plain(delta: Delta, others: Sequence[Delta], module: str) -> Delta:
    """Tell by a plain delta's width whether a pooled one is: PEFT ignores the flag elsewhere."""
    if delta.place is None or delta.place.pooled == 1:
        return delta
    plain = {d.shape for d in others if d.place is None or d.place.pooled == 1}
    if delta.shape in plain:
        return replace(delta, place=None)
    wide = unpooled(delta)
    if plain and wide.shape not in plain:
        raise DifferentBase(
            f"`{module}` has shape {wide.shape} in one adapter and {plain.pop()} in another",
            where=module,
            hint="Was one of them trained on another base model? Such deltas have no sum.",
        )
    return wide


def _check_formats(adapters: Sequence[Adapter]) -> None:
    families = {family_of_format(a.format): a for a in adapters}
    if len(families) > 1 and Family.IMAGE not in families:
        said = " and ".join(f"{a.label} is {kind}'s" for kind, a in sorted(families.items()))
        # A GGUF file read without its base's numbers of heads.
        raise Refused(
            f"adapters of different formats name their target modules differently: {said}",
            hint="Give the GGUF file's base model: --base BASE (in Python: load(..., base=...)).",
        )


def _check_replication(adapters: Sequence[Adapter]) -> None:
    kinds = [a.settings.get("layer_replication") for a in adapters]
    for adapter, kind in zip(adapters, kinds, strict=True):
        if kind != kinds[0]:
            raise Refused(
                f"layer_replication is {kinds[0]} in {adapters[0].label} and {kind} in "
                f"{adapter.label}: their layers are not the same ones",
                where="layer_replication",
            )


def _check_rows(adapters: Sequence[Adapter]) -> None:
    """Where a base ties its output layer, rows of the embedding are both's, if it has none itself.

    Beside another adapter's rows of the output layer they would count for the embedding alone.
    Source: peft 0.21.2, `set_additional_trainable_modules`.
    """
    for adapter in adapters:
        ends = {end_of(r.tensor) for r in adapter.replacements.values() if r.row is not None}
        for other in adapters if "input" in ends and "output" not in ends else ():
            for r in other.replacements.values():
                if r.row is not None and end_of(r.tensor) == "output":
                    raise Refused(
                        f"{adapter.label} has trained rows of the embedding, which count for a "
                        f"tied output layer as well, and {other.label} has rows of that layer "
                        f"(`{r.tensor}`): one adapter cannot say both",
                        where="trainable_token_indices",
                    )


__all__ = ["align", "met", "unpooled", "untied"]
