"""Entries that are kept at random, and scaled so that their expectation stays."""

from __future__ import annotations

import numpy as np

from superpose.compose.by_module import Array
from superpose.errors import BadSetting


def drawn(x: Array, probability: float | Array, seed: int, label: str) -> Array:
    """Give x with each entry kept by its probability, and divided by it.

    label: of adapter and module, with the seed the stream of draws, whatever the order of adapters.
    """
    stream = np.random.default_rng([seed, *label.encode()])
    single = x.dtype == np.float32
    keep = stream.random(x.shape, dtype=np.float32 if single else np.float64) < probability
    return np.asarray(np.where(keep, x / probability, 0.0), x.dtype)


def check_seed(seed: int) -> None:
    """Raise BadSetting for what is no seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadSetting(f"seed is {seed!r}; it must be a whole number of at least 0", where="seed")
