"""Task weights of their own for the parts of an image LoRA: its text encoders and its denoiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from superpose.adapter.adapter import Adapter
from superpose.adapter.image_marks import is_image
from superpose.adapter.made import made_by_sum
from superpose.adapter.parents import Parent
from superpose.adapter.place import place_of
from superpose.adapter.trigger_words import trigger_words
from superpose.errors import BadInput, placed
from superpose.names.image import DENOISER, T5, UNTOLD, image_name
from superpose.names.sums import written_parts

__all__ = ["scaled_by_part"]

_OF_DENOISER = ("unet", "transformer")
_OF_ENCODERS = "te"


def scaled_by_part(adapter: Adapter, weights: Mapping[str, float]) -> Adapter:
    """Give an image LoRA whose parts have task weights of their own; what is not named keeps 1.

    weights: by part: `te` is every text encoder, `te1`, `te2`, ... one of them (`te3` is T5, as in
    kohya's names), `unet` (also `transformer`) the model that denoises. As a parent it is called
    `cats:te=0.5,unet=1`.

    Raises BadInput, with the parts there are, for a part that the adapter does not have, for two
    weights of one part, and for an adapter that is no image LoRA.
    """
    if not is_image(adapter):
        raise BadInput(
            "has no parts: weights of a text encoder and a U-Net are for image LoRAs",
            where=adapter.label,
            hint="Give one task weight: NAME:0.5",
        )
    part_of = {key: _part(place_of(key, delta.place).module) for key, delta in adapter.items()}
    stored = {key: _part(one.tensor) for key, one in adapter.replacements.items()}
    there = {*part_of.values(), *stored.values()}
    each: dict[str, float] = {}
    for called, weight in weights.items():
        for part in _meant(called, there, adapter):
            if part in each:
                raise BadInput(f"`{part}` has two task weights", where=adapter.label)
            each[part] = float(weight)
    with placed(adapter.label):
        deltas = {key: delta.scaled(each.get(part_of[key], 1.0)) for key, delta in adapter.items()}
        replacements = {
            key: one.with_coefficients(_times(each.get(stored[key], 1.0)))
            for key, one in adapter.replacements.items()
        }
    name = f"{adapter.name}:{written_parts(weights)}"
    own = Parent(name, adapter.path, 1.0, object(), trigger_words(adapter))
    made = made_by_sum((adapter,), (own,))
    return replace(
        adapter,
        deltas=deltas,
        replacements=replacements,
        name=name,
        path=None,
        parents=(own,),
        made=made,
    )


def _times(weight: float) -> Callable[[float], float]:
    return lambda coefficient: coefficient * weight


def _part(module: str) -> str:
    """Give what people call the part of a pipeline that a module lies in: `te1`, `unet`."""
    component = image_name(module).component
    if component == DENOISER:
        return _OF_DENOISER[0]
    if component.startswith("text_encoder"):
        return f"te{component.removeprefix('text_encoder').lstrip('_') or '1'}"
    return {UNTOLD: _OF_ENCODERS, T5: "te3"}.get(component, component)


def _meant(called: str, there: set[str], adapter: Adapter) -> list[str]:
    """Give the parts that a name means, of those that there are; raises BadInput for none."""
    if called in _OF_DENOISER:
        found = [part for part in there if part == _OF_DENOISER[0]]
    elif called == _OF_ENCODERS:
        found = [part for part in there if part.startswith(_OF_ENCODERS)]
    else:
        found = [part for part in there if part == called]
    if not found:
        encoders = any(part.startswith(_OF_ENCODERS) for part in there)
        known = sorted({*there, *([_OF_ENCODERS] if encoders else [])})
        raise BadInput(
            f"has no part `{called}`; it has {', '.join(known)}",
            where=adapter.label,
        )
    return sorted(found)
