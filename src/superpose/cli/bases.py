"""A base model's folder, for the commands that read its weights without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from superpose.errors import BadInput

__all__ = ["Located", "locate_named_base"]


class Located(NamedTuple):
    """Where a base model lies, and the name that an adapter of it should carry."""

    folder: Path
    name: str


def locate_named_base(given: str) -> Located:
    """Find a base model: `smollm2`, a transformers folder, or a hub name.

    The embedded model is converted on first use, which needs the extra `study`; nothing else here
    needs torch. Raises as `files.locate_base` and `landscape.smollm2.folder` do.
    """
    from superpose.files import called, is_here, locate_base

    if given == "smollm2" and not is_here(given):
        from superpose.landscape import smollm2

        return Located(smollm2.folder(), smollm2.HUB_NAME)
    folder = locate_base(given)
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise BadInput(
            "is an adapter, not a base model",
            where=given,
            hint="The base model comes first: superpose bake BASE ADAPTER ...",
        )
    return Located(folder, called(given))
