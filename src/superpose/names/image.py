"""One identity for a weight of an image model, in every spelling: which model, and its path.

kohya writes `lora_unet_`, `lora_te1_`, `lora_transformer_` and underscores for dots; diffusers the
pipeline's component, `unet.`, `text_encoder_2.`, or nothing; ComfyUI `diffusion_model.` and
`text_encoders.clip_l.transformer.`; LyCORIS `lycoris_`; PEFT `base_model.model.` after any of them.
transformers 5.6 dropped `text_model.` from CLIP's names. Source: sd-scripts, `networks/`; diffusers
0.42.1, `loaders/lora_pipeline.py`; ComfyUI, `comfy/lora.py`; OneTrainer, its key mappings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from superpose.names.image_words import dotted

DENOISER = "denoiser"
"""The UNet or transformer; a pipeline has one, and the second of Wan 2.2 has a name of its own."""

UNTOLD = "a text encoder"
"""One of a pipeline's text encoders, and the name does not say which."""

T5 = "T5"

_PEFT = "base_model.model."
_TEXT_MODEL = re.compile(r"text_model[._]")
_CLIP = re.compile(r"(text_model_)?(encoder_layers_\d|embeddings_|final_layer_norm)")
_T5_PATH = re.compile(r"encoder_block_\d|shared$")

# Each with the model that it means. `text_encoder` is the first, whatever it counts from.
_PREFIXES = tuple(
    (re.compile(pattern), component)
    for pattern, component in (
        (r"(unet|transformer|diffusion_model|model\.diffusion_model)\.", DENOISER),
        (r"text_encoders\.(clip_l|clip_h)\.(transformer\.)?", "text_encoder"),
        (r"text_encoders\.clip_g\.(transformer\.)?", "text_encoder_2"),
        (r"text_encoders\.t5xxl\.(transformer\.)?", T5),
        (r"(text_encoder(_\d)?)\.", ""),
        (
            r"(transformer_(?:\d|ref)|connectors|text_conditioner|prior|controlnet)\.",
            "",
        ),
        (r"lora_(unet|transformer)_", DENOISER),
        (r"lora_te1?_", "text_encoder"),
        (r"lora_te2_", "text_encoder_2"),
        (r"lora_te3_", "text_encoder_3"),
        (r"lycoris_", DENOISER),
        (r"(lora_[a-z]+\d*)_", ""),
    )
)


class Called(NamedTuple):
    """A module's name in its parts.

    component: the model, DENOISER, `text_encoder`, `text_encoder_2`, ... prefix: what says so in
    the name, with a wrapper and `text_model.` behind it. path: the rest, as the name has it. flat:
    the rest with underscores for dots, one for all spellings. kohya: whether the name has no dots.
    """

    component: str
    prefix: str
    path: str
    flat: str
    kohya: bool

    @property
    def identity(self) -> tuple[str, str]:
        """What two names of one module have in common."""
        return self.component, self.flat


@lru_cache(maxsize=1 << 14)
def image_name(module: str) -> Called:
    """Take a module's name apart."""
    kohya = is_kohya(module)
    component, prefix = _start(module)
    rest = module[len(prefix) :]
    if rest.startswith(_PEFT):
        prefix, rest = prefix + _PEFT, rest.removeprefix(_PEFT)
    flat = rest.replace(".", "_")
    if _T5_PATH.match(flat) and component.startswith("text_encoder"):
        component = T5
    if component == DENOISER and _CLIP.match(flat):
        component = UNTOLD
    text = _TEXT_MODEL.match(rest)
    if text is not None and component in (UNTOLD, "text_encoder", "text_encoder_2"):
        prefix, rest = prefix + text[0], rest[text.end() :]
        flat = rest.replace(".", "_")
    return Called(component, prefix, rest, flat, kohya)


def _start(module: str) -> tuple[str, str]:
    """Give the component that the start of a name says, and that start; the denoiser's for none."""
    for pattern, component in _PREFIXES:
        if match := pattern.match(module):
            return component or match[1], match[0]
    return DENOISER, ""


def is_kohya(module: str) -> bool:
    """Say whether a module is called as kohya's tools do: with underscores for dots."""
    return "." not in module and module.startswith(("lora_", "lycoris_"))


def is_clip(flat: str) -> bool:
    """Say whether a path is one of CLIP's text model, whose names may start with `text_model.`."""
    return _CLIP.match(flat) is not None


def with_prefix(prefix: str, path: str) -> str:
    """Give a module's name. path: dotted, or flat for a prefix of kohya's."""
    if prefix.endswith(("text_model.", "text_model_")) and path.startswith("text_projection"):
        prefix = prefix[: -len("text_model.")]  # it is CLIP's own, beside its text model
    return prefix + path


def dotted_path(name: Called) -> str | None:
    """Give the path with its dots; None where they cannot be told."""
    return dotted(name.flat) if name.kohya else name.path
