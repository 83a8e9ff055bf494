"""An image model's LoRA in one file whose names are PEFT's: `base_model.model.double_blocks.0...`.

Loaders take the wrapper off and know no configuration: the scale is 1, or an `.alpha` beside.
Source: diffusers 0.42.1, `loaders/lora_pipeline.py` (FLUX.2, ErnieImage, Krea 2).
"""

from __future__ import annotations

import re

from superpose.files.header import Header

_PREFIX = "base_model.model."

# Layers of image models that no language model has.
_LAYERS = re.compile(
    r"(double_blocks|single_blocks|single_transformer_blocks|transformer_blocks|down_blocks"
    r"|up_blocks|input_blocks|output_blocks)\.\d+\.|mid_block\.|middle_block\."
    r"|blocks\.\d+\.((self|cross)_attn\.[qkvo]|attn\.w[qkvo])\."
    r"|layers\.\d+\.(cross_attn\.|self_attention\.to_[qkv]|adaLN)"
)


def is_image_model(header: Header) -> bool:
    """Say whether a file of PEFT's names holds the LoRA of an image model."""
    return any(_LAYERS.match(name.removeprefix(_PREFIX)) for name in header.entries)
