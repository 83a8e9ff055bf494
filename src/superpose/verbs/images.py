"""What is said where somebody asks a language model about an image LoRA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from superpose.errors import BadInput

if TYPE_CHECKING:
    from superpose.adapter import Adapter

__all__ = ["no_images"]


def no_images(adapters: Iterable[Adapter]) -> None:
    """Raise BadInput for an image LoRA: what is measured are answers of language models."""
    from superpose.adapter.image_marks import is_image

    for adapter in adapters:
        if is_image(adapter):
            raise BadInput(
                "is an image LoRA, and images are not evaluated here",
                where=adapter.label,
                hint="superpose check tells what its weights say of a sum; whether that is good, "
                "images of one seed show: docs/how-to/images.md",
            )
