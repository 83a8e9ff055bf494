"""Image LoRAs brought to one way of calling a model's modules, before they are added or compared.

One weight has many names: kohya's, diffusers', ComfyUI's, with the pipeline's component or without.
`names.image_plan` says which names stay; here the deltas go there, whole or cut into rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from superpose.adapter.delta import Delta
from superpose.adapter.fused import among_zeros
from superpose.adapter.image_marks import MARKS, Marks, is_image, marks_of
from superpose.adapter.place import place_of
from superpose.errors import Refused, SuperposeWarning
from superpose.files.file_format import DIFFUSERS, KOHYA, PEFT
from superpose.lowrank.terms import Terms, formed
from superpose.names.image import DENOISER, image_name
from superpose.names.image_files import File, Shape
from superpose.names.image_plan import Move, NamePlan, plan
from superpose.names.image_tables import OF_DIFFUSERS, converter, family_of

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter


def with_one_naming(adapters: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """Give the same image LoRAs with one name for one weight; says whose names changed.

    A PEFT folder of a UNet or a transformer, whose modules diffusers names, is one of them.

    Raises Refused or DifferentBase where that cannot be told, as `names.image_plan.plan` does, and
    Refused for other adapters.
    """
    for adapter in adapters:
        _check_image(adapter)
    _check_interleaved(adapters)
    names = plan([_file(adapter) for adapter in adapters])
    leader = adapters[names.leader]
    marks = _joined_marks(adapters, names)
    kind = (KOHYA if names.kohya else DIFFUSERS).name
    found = []
    for at, adapter in enumerate(adapters):
        renamed = names.renamed(at)
        settings = {**adapter.settings, MARKS: marks}
        if renamed is None:
            found.append(replace(adapter, settings=settings, format=kind))
            continue
        _say(adapter, leader, renamed)
        deltas = _moved(adapter, names.moves[at])
        found.append(replace(adapter, deltas=deltas, settings=settings, format=kind))
    return tuple(found)


def _check_image(adapter: Adapter) -> None:
    if is_image(adapter):
        return
    paths = (place_of(key, delta.place).module.replace(".", "_") for key, delta in adapter.items())
    more = adapter.replacements or adapter.tied or adapter.copies
    if adapter.format == PEFT.name and not more and family_of(paths) in OF_DIFFUSERS:
        return
    raise Refused(
        f"{adapter.label} is no image LoRA, and no PEFT folder of a UNet or transformer of "
        "diffusers' that changes linear layers and convolutions alone; the other is an image LoRA",
        hint=_OF_A_TEXT_ENCODER if adapter.format == PEFT.name else None,
    )


def _check_interleaved(adapters: Sequence[Adapter]) -> None:
    """Refuse MiniMax-H3's fused layers in two orders of rows, of which the factors' names tell.

    DiffSynth-Studio, which writes `lora_A.default`, has them head by head. Source: diffusers
    0.42.1, `_convert_non_diffusers_minimax_h3_lora_to_diffusers`.
    """
    ways: dict[bool, Adapter] = {}
    for adapter in adapters:
        paths = [image_name(place_of(k, d.place).module).flat for k, d in adapter.items()]
        if family_of(paths) == "minimax":
            by_head = "lora_A.default" in marks_of(adapter).spellings.values()
            ways.setdefault(by_head, adapter)
    if len(ways) > 1:
        raise Refused(
            f"{ways[True].label} has the rows of MiniMax-H3's `qkv_proj` head by head, and "
            f"{ways[False].label} queries, keys and values one after another",
            hint=converter("MiniMaxH3"),
        )


_OF_A_TEXT_ENCODER = """If it is of the pipeline's text encoder, make it a file that says so:
  superpose add FOLDER -o PLAIN
  python -c "import sys; from safetensors.torch import load_file, save_file; \
f = load_file(sys.argv[1] + '/adapter_model.safetensors'); \
save_file({k.replace('base_model.model.', 'text_encoder.'): v for k, v in f.items()}, \
sys.argv[2])" PLAIN NEW.safetensors"""


def _file(adapter: Adapter) -> File:
    shapes: dict[str, Shape] = {}
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        if place.key == place.module or place.module not in shapes:
            shapes[place.module] = delta.shape
    return File(adapter.label, shapes, marks_of(adapter).alphas)


def _say(adapter: Adapter, leader: Adapter, renamed: tuple[str, str]) -> None:
    before, after = renamed
    warnings.warn(
        f"one weight under two names: `{before}` of {adapter.label} is taken for `{after}`, as "
        f"{leader.label} calls it",
        SuperposeWarning,
        stacklevel=4,
    )


def _moved(adapter: Adapter, moves: Mapping[str, Sequence[Move]]) -> dict[str, Delta]:
    deltas: dict[str, Delta] = {}
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        for move in moves[place.module]:
            there = replace(place, module=move.module)
            part = replace(
                delta,
                terms=_rows(delta.terms, move),
                place=None if delta.place is None else there,
            )
            own = deltas.get(there.key)
            deltas[there.key] = part if own is None else own + part
    return deltas


def _rows(terms: Terms, move: Move) -> Terms:
    """Take a layer's rows, or put them where they lie in a fused layer; exact."""
    if move.taken is not None:
        first, end = move.taken
        return tuple(t._replace(B=t.B[first:end]) for t in formed(terms))
    if move.placed is not None:
        first, whole = move.placed
        return tuple(t._replace(B=among_zeros(t.B, first, whole)) for t in formed(terms))
    return terms


def _joined_marks(adapters: Sequence[Adapter], names: NamePlan) -> Marks:
    """Give the marks of the leader, and for what it does not have those of the others."""
    leader = adapters[names.leader]
    order = [leader, *(a for a in adapters if a is not leader)]
    alike = [a for a in order if (a.format == KOHYA.name) == names.kohya]
    components = [_components(a) for a in alike]
    spellings: dict[str, str] = {}
    alphas: set[str] = set()
    for component in dict.fromkeys(c for own in components for c in own):
        have = [a for a, own in zip(alike, components, strict=True) if component in own]
        spellings |= _joined_spelling(component, have)
        if component in marks_of(have[0]).alphas:
            alphas.add(component)
    everything = [marks_of(a) for a in order]
    return Marks(
        spellings,
        frozenset(alphas),
        frozenset().union(*(m.lokr for m in everything)),
        next((m.norms for m in everything if m.norms is not None), None),
        _joined_biases(order),
        _whole(adapters, names),
    )


def _joined_biases(order: Sequence[Adapter]) -> str | None:
    """Give how a bias's change ends, of the files whose modules are called as the leader's.

    ComfyUI's `diff_b` is passed over by diffusers under its own names, and read under the others.
    order: the leader first.
    """
    start = _denoiser_prefix(order[0])
    ways = (marks_of(a).biases for a in order if _denoiser_prefix(a) == start)
    return next((way for way in ways if way is not None), None)


def _denoiser_prefix(adapter: Adapter) -> str | None:
    names = (image_name(place_of(key, delta.place).module) for key, delta in adapter.items())
    return next((name.prefix for name in names if name.component == DENOISER), None)


def _components(adapter: Adapter) -> dict[str, None]:
    return dict.fromkeys(
        image_name(place_of(key, delta.place).module).component for key, delta in adapter.items()
    )


def _joined_spelling(component: str, adapters: Sequence[Adapter]) -> dict[str, str]:
    """Give one way to spell a component's factors: no loader reads two in one component.

    The way of all; else the first's, where that is one for all sorts of modules; else the usual.
    """
    sorts = (component, f"{component} attention")
    ways = [
        {sort: marks_of(a).spellings[sort] for sort in sorts if sort in marks_of(a).spellings}
        for a in adapters
    ]
    ways = [way for way in ways if way] or [{}]
    if all(way == ways[0] for way in ways):
        return ways[0]
    one = set(ways[0].values())
    if len(one) == 1 and one.isdisjoint(_OF_ATTENTION_ALONE):
        return dict.fromkeys(sorts, one.pop())
    return {}


_OF_ATTENTION_ALONE = {"to_q_lora"}


def _whole(adapters: Sequence[Adapter], names: NamePlan) -> frozenset[str]:
    """Give the modules whose change all files that have it store as it is."""
    whole: set[str] = set()
    factored: set[str] = set()
    for adapter, moves in zip(adapters, names.moves, strict=True):
        own = marks_of(adapter).whole
        for module, there in moves.items():
            (whole if module in own else factored).update(move.module for move in there)
    return frozenset(whole - factored)
