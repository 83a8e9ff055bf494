"""The rounding error that is reported is that of the file, held against dense float64."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors
from hypothesis import given, settings, strategies as st

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput

HALVES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
DTYPES: dict[str, Any] = {**HALVES, "float32": np.float32}
MODULES = {"q_proj": (24, 16), "v_proj": (16, 16)}
EXACT = 1e-12
"""What float64 leaves of terms of size 1: no figure says anything below it."""


def _adapters(dtype: str, seed: int, apart: float, rank: int, same_inputs: bool) -> list[Adapter]:
    """Two adapters whose factors are `apart` from each other, as stored in a dtype."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, Delta]] = [{}, {}]
    for module, (high, wide) in MODULES.items():
        B, A = rng.normal(size=(high, rank)), rng.normal(size=(rank, wide))
        for k, deltas in enumerate(found):
            moved = B + k * apart * rng.normal(size=B.shape)
            inputs = A if same_inputs else A + k * apart * rng.normal(size=A.shape)
            deltas[module] = Delta.of(moved.astype(DTYPES[dtype]), inputs.astype(DTYPES[dtype]))
    return [Adapter(deltas, name) for deltas, name in zip(found, "xy", strict=True)]


def _dense(term_B: Any, term_A: Any) -> np.ndarray:
    return np.asarray(term_B, np.float64) @ np.asarray(term_A, np.float64)


def _true_error(adapters: list[Adapter], weights: list[float], folder: Path) -> tuple[float, float]:
    """|written - exact| and |exact| over all modules, from dense float64 deltas."""
    lost, whole = [], []
    with safetensors.safe_open(folder / "adapter_model.safetensors", "np") as file:
        for module in MODULES:
            terms = [(w, d.terms[0]) for w, a in zip(weights, adapters, strict=True)
                     for d in [a[module]]]  # fmt: skip
            exact = sum(w * t.coefficient * _dense(t.B, t.A) for w, t in terms)
            key = f"base_model.model.{module}.lora_{{}}.weight"
            written = _dense(file.get_tensor(key.format("B")), file.get_tensor(key.format("A")))
            lost.append(np.linalg.norm(written - exact))
            whole.append(np.linalg.norm(exact))
    return float(np.linalg.norm(lost)), float(np.linalg.norm(whole))


@settings(max_examples=150)
@given(
    dtype=st.sampled_from(sorted(DTYPES)),
    into=st.sampled_from([None, *sorted(DTYPES)]),
    seed=st.integers(0, 10_000),
    apart=st.sampled_from([1.0, 1e-2, 1e-4, 1e-6]),
    rank=st.integers(1, 6),
    same_inputs=st.booleans(),
    weights=st.sampled_from([(0.3, -0.3), (1.0, -1.0), (0.3, -0.2), (0.7, 0.4), (1e-9, -1e-9)]),
)
def test_the_reported_rounding_error_is_that_of_the_file(
    dtype: str, into: str | None, seed: int, apart: float, rank: int, same_inputs: bool,
    weights: tuple[float, float],
) -> None:  # fmt: skip
    adapters = _adapters(dtype, seed, apart, rank, same_inputs)
    total = sum((w * a for w, a in zip(weights, adapters, strict=True)), start=0 * adapters[0])
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            written = superpose.save(total, Path(place, "sum"), dtype=into)
        except BadInput:  # too small for the dtype: nothing was written
            return
        lost, whole = _true_error(adapters, list(weights), written.path)
    if whole < EXACT * abs(weights[0]):  # the two are one in this dtype: nothing is left to round
        return
    assert written.rounding_error == pytest.approx(lost / whole, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_a_difference_of_two_that_are_almost_one_is_not_called_exact(
    seed: int, tmp_path: Path
) -> None:
    adapters = _adapters("float16", seed, 1e-4, 4, same_inputs=True)
    total = 0.3 * adapters[0] - 0.3 * adapters[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = superpose.save(total, tmp_path / "sum")
    lost, whole = _true_error(adapters, [0.3, -0.3], tmp_path / "sum")
    assert lost > 0.01 * whole
    assert written.rounding_error == pytest.approx(lost / whole, rel=1e-3)
