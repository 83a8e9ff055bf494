"""Tensors of image files that no sum can hold: what each is, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from superpose.errors import Refused, bullets, listed

_MERGE = (
    "Load it into its base model with the tool that made it, merge it there, save both models in "
    "diffusers' format and take the difference: superpose extract BASE MERGED --rank 64"
)
_XLABS = (
    "diffusers makes a LoRA of its own spelling of it:\n"
    '  python -c "import sys; from diffusers import FluxPipeline; from safetensors.torch import '
    "save_file; save_file({k: v.clone() for k, v in "
    'FluxPipeline.lora_state_dict(sys.argv[1]).items()}, sys.argv[2])" '
    "OLD.safetensors NEW.safetensors"
)
_NONE = "No tool is known that makes a LoRA of it."


class Reason(NamedTuple):
    """what: the tensor is. way_out: what to do about it."""

    what: str
    way_out: str


# Tried in this order.
_REASONS = tuple(
    (re.compile(pattern), Reason(what, way_out))
    for pattern, what, way_out in (
        (
            r"\.processor\.(qkv|proj)_lora\d?\.(down|up)\.weight$",
            "a factor of a FLUX LoRA in XLabs' spelling",
            _XLABS,
        ),
        (
            r"\.(dora_scale|lora_magnitude_vector(\.weight)?)$",
            "DoRA rescales the base model's weight, so that its update is not up * down",
            _MERGE,
        ),
        (
            r"\.(oft_blocks|oft_diag|oft_R|boft_.*)(\.weight)?$|\.oft_",
            "OFT multiplies the base model's weight",
            _MERGE,
        ),
        (r"\.on_input$", "(IA)^3 multiplies the base model's weight", _MERGE),
        (r"\.[ab][12](\.weight)?$", "GLoRA's update depends on the base model's weight", _MERGE),
        (
            r"\.(up|down)_list\.",
            "a part of a DyLoRA, whose ranks count one by one",
            _NONE,
        ),
        (
            r"\.(set_weight|reshape_weight)$",
            "a whole weight in place of the base model's, of another shape perhaps",
            _NONE,
        ),
        (
            r"\.scalar$",
            "a trained scalar, which LyCORIS' own versions read in two ways",
            _NONE,
        ),
        (
            r"^bundle_emb\.|string_to_param|^emb_params",
            "an embedding (textual inversion)",
            "It is a word's vector, no change of a weight: loaders take it from a file of its own.",
        ),
        (r"^lora_controlnet$", "a control LoRA, which is a whole network", _NONE),
        (r"\.lora_(down|up|A)\.bias$", "a bias of a factor, which no loader reads", _NONE),
        (
            r"\.(weight|bias)$",
            "a whole weight, not a change of one",
            "Where it is a fine-tuned model's: superpose extract BASE TUNED --rank 64 takes the "
            "difference of two models' folders.",
        ),
    )
)
_UNKNOWN = Reason("an unknown tensor", "")


def reason_of(name: str) -> Reason:
    """Say why a tensor that is no part of a LoRA cannot be in a sum."""
    return next((reason for found, reason in _REASONS if found.search(name)), _UNKNOWN)


def refuse(others: Mapping[Reason, list[str]], where: object) -> Refused:
    """Give the refusal of all these tensors. others: names by reason."""
    said = bullets([f"tensor {listed(names)}: {r.what}" for r, names in others.items()])
    ways = dict.fromkeys(reason.way_out for reason in others if reason.way_out)
    return Refused(f"cannot be part of a sum:{said}", where=where, hint="\n".join(ways) or None)
