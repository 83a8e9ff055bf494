"""Other libraries' progress bars: superpose draws its own, and a log file has none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

__all__ = ["without_bars"]


@contextmanager
def without_bars(transformers: Any) -> Iterator[None]:
    """Let transformers, the library, draw no bar within the block; afterwards it is as it was.

    The bar of the conversion from GGUF is tqdm's own, which transformers' switch does not reach.
    """
    logging = transformers.utils.logging
    gguf = importlib.import_module(f"{transformers.__name__}.modeling_gguf_pytorch_utils")
    shown, drawn = logging.is_progress_bar_enabled(), vars(gguf)["tqdm"]
    logging.disable_progress_bar()
    vars(gguf)["tqdm"] = partial(drawn, disable=True)
    try:
        yield
    finally:
        vars(gguf)["tqdm"] = drawn
        if shown:
            logging.enable_progress_bar()
