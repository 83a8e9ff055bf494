"""Adapters made by hand, and the dense float64 oracle they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ml_dtypes
import numpy as np
import pytest

from superpose.adapter import Adapter, Delta

DTYPES = ("float16", "bfloat16", "float32", "float64")


def _in_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    narrow = x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    # What a memory-mapped file gives: writing into a factor fails loudly.
    narrow.flags.writeable = False
    return narrow


@pytest.fixture(scope="session")
def build() -> Callable[..., Adapter]:
    """Build an adapter with random, read-only factors."""

    def adapter(
        name: str = "math",
        seed: int = 0,
        modules: Mapping[str, tuple[int, int, int]] | None = None,
        dtype: str = "float32",
        base_model: str | None = None,
        **fields: object,
    ) -> Adapter:
        rng = np.random.default_rng(seed)
        layout = modules or {"q": (6, 5, 2), "v": (4, 5, 3)}
        deltas = {
            module: Delta.of(
                _in_dtype(rng.standard_normal((out, rank)), dtype),
                _in_dtype(rng.standard_normal((rank, in_)), dtype),
                float(rng.uniform(0.5, 2.0)),
            )
            for module, (out, in_, rank) in layout.items()
        }
        return Adapter(deltas, name, base_model, **fields)  # type: ignore[arg-type]

    return adapter


@pytest.fixture(scope="session")
def oracle() -> Callable[[Adapter], dict[str, np.ndarray]]:
    """Form every delta in float64, by the definition."""

    def dense(adapter: Adapter) -> dict[str, np.ndarray]:
        return {
            module: sum(
                (c * B.astype(np.float64) @ A.astype(np.float64) for c, B, A in delta.terms),
                start=np.zeros(delta.shape),
            )
            for module, delta in adapter.items()
        }

    return dense
