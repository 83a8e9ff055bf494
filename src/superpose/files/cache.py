"""Where superpose keeps what it made once: the embedded base model, converted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the embedded model's file: a conversion is of this file."""


def cache_folder() -> Path:
    """Where superpose keeps converted models: $SUPERPOSE_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("SUPERPOSE_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "superpose"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/superpose").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "superpose"


def embedded_folder() -> Path:
    """Where the embedded base model lies once it was converted, as a transformers folder."""
    return cache_folder() / f"smollm2-{GGUF_SHA256[:12]}"
