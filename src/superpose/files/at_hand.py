"""The base model that adapters name, where it lies on this machine: nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path

from superpose.errors import BadInput, Refused
from superpose.files.base_config import cached_config
from superpose.files.cache import embedded_folder
from superpose.files.checkpoint import CONFIG, Checkpoint

EMBEDDED = ("smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct")
"""Names of the embedded base model, which is converted on first use."""


def base_at_hand(name: str | os.PathLike[str] | None) -> Checkpoint | None:
    """Open the headers of a base model that is here; None where it is not, or cannot be added to.

    name: as an adapter names it: a folder, a hub name in the hub's cache, the embedded model.
    Weights that are quantised, pickles or cut off are as good as not here.
    """
    folder = None if name is None else _folder(os.fspath(name))
    if folder is None:
        return None
    try:
        return Checkpoint.open(folder)
    except (BadInput, Refused):
        return None


def _folder(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        if (path / CONFIG).is_file():
            return path
    except (OSError, RuntimeError, ValueError):
        return None  # no name that this machine could have
    if name in EMBEDDED:
        folder = embedded_folder()
        if (folder / CONFIG).is_file():
            return folder
    if not _hub_cache().is_dir():
        return None  # huggingface_hub takes longer to import than a sum takes
    found = cached_config(name)
    return None if found is None else found.parent


def _hub_cache() -> Path:
    """Give the folder of the hub's cache. Source: huggingface_hub 1.x, `constants.py`."""
    if chosen := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(above).expanduser() / "huggingface" / "hub"
