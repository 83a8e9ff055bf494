"""Entries that are kept at random, and scaled so that their expectation stays."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from superpose.compose.by_module import Array


def drawn(x: Array, probability: float | Array, seed: int, label: str) -> Array:
    """Give x with each entry kept by its probability, and divided by it.

    label: of adapter and module, with the seed the stream of draws, whatever the order of adapters.
    """
    key = blake2b(f"{seed}|{label}".encode(), digest_size=16).digest()
    stream = np.random.default_rng(int.from_bytes(key, "little"))
    dtype = np.dtype("f4") if x.dtype == np.float32 else np.dtype("f8")
    keep = stream.random(x.shape, dtype=dtype.type) < probability
    return np.asarray(np.where(keep, x / probability, 0.0), x.dtype)
