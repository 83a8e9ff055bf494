"""What one of the loaders would pass over, or misread, in an image LoRA that others read right."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from superpose.errors import SuperposeWarning, listed
from superpose.names.image import image_name, is_kohya

_BIAS = ".diff_b"


def tell_of_loaders(names: Iterable[str], *, kohya: bool, uneven: bool) -> None:
    """Say with a SuperposeWarning what diffusers does not take of a file that is to be written.

    names: of its tensors. uneven: modules of one sort differ in rank.
    Source: diffusers 0.42.1, `loaders/lora_conversion_utils.py` (`diff_b` is read where it gives
    the modules other names) and `utils/peft_utils.py` (get_peft_kwargs: one alpha of kohya's).
    """
    alone = [name for name in names if name.endswith(_BIAS) and _has_component(name)]
    if alone:
        _warn(
            f"{listed(alone)}: the change of a bias that has no factors beside it; under this "
            "name ComfyUI applies it and diffusers passes it over"
        )
    if kohya and uneven:
        _warn(
            "the modules of this kohya file differ in rank: kohya's tools read each, diffusers "
            "takes one alpha for all and misreads the others; without compact all load alike"
        )


def _has_component(name: str) -> bool:
    """Whether a name begins with the component (`transformer.`), as diffusers' own do."""
    module = name.removesuffix(_BIAS)
    prefix = image_name(module).prefix
    return bool(prefix) and not is_kohya(module) and not prefix.startswith("diffusion_model.")


def _warn(message: str) -> None:
    warnings.warn(message, SuperposeWarning, stacklevel=4)
