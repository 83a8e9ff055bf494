"""Names by which loaders find the sum of LoKrs: it is a LoRA, which they know by other names.

diffusers knows LyCORIS' `lycoris_...` and SimpleTuner's bare names by the `.lokr_` of their tensors
alone (0.42.1, `loaders/lora_pipeline.py`, Flux2LoraLoaderMixin.lora_state_dict). With the component
in front, as its own training scripts write, it finds a LoRA, and so does ComfyUI.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

from superpose.adapter import Adapter, place_of
from superpose.adapter.image_marks import MARKS, Marks, marks_of
from superpose.errors import SuperposeWarning
from superpose.files.file_format import DIFFUSERS
from superpose.names.image import DENOISER, Called, dotted_path, image_name, with_prefix
from superpose.names.image_tables import OF_DIFFUSERS, family_of

_UNKNOWN = ("", "lycoris_")
"""What stands before a denoiser's modules that loaders know as a LoKr's alone."""


def as_loaders_know_it(adapter: Adapter) -> Adapter:
    """Give the adapter under names that say that it is a LoRA; says so where they are others.

    Where diffusers has no such names for the model, or their dots are not told, the names stay.
    """
    if DENOISER not in marks_of(adapter).lokr:
        return adapter
    places = {key: place_of(key, delta.place) for key, delta in adapter.items()}
    names = {place.module: image_name(place.module) for place in places.values()}
    own = {m: n for m, n in names.items() if n.component == DENOISER}
    family = family_of(name.flat for name in own.values())
    spelled = {module: _spelled(name, family) for module, name in names.items()}
    strange = any(name.prefix not in _UNKNOWN for name in own.values())
    if strange or family not in OF_DIFFUSERS or None in spelled.values():
        return adapter
    deltas = {}
    for key, delta in adapter.items():
        there = replace(places[key], module=str(spelled[places[key].module]))
        deltas[there.key] = replace(delta, place=None if delta.place is None else there)
    before = next(iter(own))
    warnings.warn(
        f"the sum of LoKrs is a LoRA, and diffusers does not find one as `{before}`: it is written "
        f"as `{spelled[before]}`, which diffusers and ComfyUI read",
        SuperposeWarning,
        stacklevel=4,
    )
    marks = marks_of(adapter)
    settings = {**adapter.settings, MARKS: Marks(norms=marks.norms, biases=marks.biases)}
    return replace(adapter, deltas=deltas, settings=settings, format=DIFFUSERS.name)


def _spelled(name: Called, family: str | None) -> str | None:
    path = dotted_path(name)
    if path is None:
        return None
    if name.component == DENOISER:
        return with_prefix("unet." if family == "unet" else "transformer.", path)
    text_model = "text_model." if name.prefix.endswith(("text_model.", "text_model_")) else ""
    return with_prefix(f"{name.component}.{text_model}", path)
