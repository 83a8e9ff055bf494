"""Every test of the algebra runs on four kinds of array, against a dense float64 oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from superpose.lowrank import Term, Terms

Make = Callable[[np.ndarray], Any]


def _read_only(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


_KINDS: dict[str, Make] = {
    "numpy": np.array,
    "read-only numpy": _read_only,
    "array-api-strict": array_api_strict.asarray,
    "torch": torch.tensor,
}


@pytest.fixture(params=_KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    """Turn a NumPy array into one of the kind under test."""
    return _KINDS[request.param]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2508)


@pytest.fixture
def draw(make: Make, rng: np.random.Generator) -> Callable[..., Terms]:
    """Draw terms of one shape, one for each rank given."""

    def terms(
        *ranks: int,
        shape: tuple[int, int] = (23, 17),
        dtype: str = "float32",
        coefficient: float = 1.5,
    ) -> Terms:
        return tuple(
            Term(
                coefficient - n,
                make(rng.standard_normal((shape[0], r)).astype(dtype)),
                make(rng.standard_normal((r, shape[1])).astype(dtype)),
            )
            for n, r in enumerate(ranks)
        )

    return terms


@pytest.fixture
def oracle() -> Callable[[Terms], np.ndarray]:
    """Form the delta in float64, by the definition."""

    def dense(terms: Terms) -> np.ndarray:
        return sum((c * _plain(B) @ _plain(A) for c, B, A in terms), start=np.zeros((1, 1)))

    return dense


def _plain(x: Any) -> np.ndarray:
    return np.asarray(np.from_dlpack(x) if not isinstance(x, np.ndarray) else x, dtype=np.float64)


@pytest.fixture
def plain() -> Callable[[Any], np.ndarray]:
    """Bring any array back to NumPy float64."""
    return _plain
