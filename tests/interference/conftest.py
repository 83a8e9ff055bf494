"""Adapters made by hand, in the shapes a check has to tell apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from superpose.adapter import Adapter, Delta

LAYOUT = {"q": (60, 50), "k": (40, 50), "v": (60, 80)}


@pytest.fixture
def build() -> Callable[..., Adapter]:
    """Build an adapter of rank 4 with random, read-only float32 factors."""

    def adapter(
        name: str = "math",
        seed: int = 0,
        modules: Mapping[str, tuple[int, int]] | None = None,
        rank: int = 4,
        path: str | None = None,
    ) -> Adapter:
        rng = np.random.default_rng(seed)
        deltas = {}
        for module, (out, in_) in (modules or LAYOUT).items():
            B = rng.standard_normal((out, rank)).astype(np.float32)
            A = rng.standard_normal((rank, in_)).astype(np.float32)
            B.flags.writeable = A.flags.writeable = False
            deltas[module] = Delta.of(B, A, 2.0)
        return Adapter(deltas, name, path=path)

    return adapter


@pytest.fixture
def rebuilt() -> Callable[..., Adapter]:
    """Make another adapter from each module's (coefficient, B, A)."""

    def change(
        adapter: Adapter, how: Callable[..., tuple[float, np.ndarray, np.ndarray]]
    ) -> Adapter:
        deltas = {}
        for module, delta in adapter.items():
            ((c, B, A),) = delta.terms
            new, left, right = how(c, B, A)
            deltas[module] = Delta.of(left, right, new)
        return Adapter(deltas, f"{adapter.name}, rebuilt")

    return change
