"""A model of diffusers' on disk: how its files are called, and which part of a pipeline it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.errors import BadInput, Refused

CLASS = "_class_name"
"""Key of a config.json of diffusers', which transformers has not."""

STEM = "diffusion_pytorch_model"
"""How the weights' files begin. Source: diffusers 0.42.1, `utils/constants.py`."""

_PIPELINE = "model_index.json"


def component_of_model(config: Mapping[str, Any], folder: Path) -> str | None:
    """Give what LoRA files call this model, `unet` or `transformer`; None for transformers' models.

    config: its config.json. Source: diffusers 0.42.1, `unet_name` and `transformer_name` of the
    pipelines' loaders.

    Raises Refused for a model to which no loader of diffusers' applies a LoRA.
    """
    kind = config.get(CLASS)
    if kind is None:
        return None
    for word, component in (("UNet", "unet"), ("Transformer", "transformer")):
        if word in str(kind) and "ControlNet" not in str(kind):
            return component
    raise Refused(
        f"is a {kind}, to which diffusers applies no LoRA: it takes UNets and transformers",
        where=folder,
    )


def check_no_pipeline(folder: Path) -> None:
    """Raise BadInput for a whole pipeline, naming the models in it that an extraction takes."""
    if not (folder / _PIPELINE).exists() or (folder / "config.json").exists():
        return
    parts = sorted(
        path.name
        for path in folder.iterdir()
        if (path / "config.json").exists()
        and path.name.startswith(("unet", "transformer", "text_encoder"))
    )
    raise BadInput(
        "is a pipeline of diffusers', not one model",
        where=folder,
        hint=f"Give one of its models, from both pipelines: {folder / (parts or ['unet'])[0]}"
        + (f" (there are {', '.join(parts)})" if len(parts) > 1 else ""),
    )
