"""The TinyLlama benchmark runs on TinyLlama's shape, and measures errors against the optimum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.adapters import write_adapter
from benchmarks.tinyllama import TINYLLAMA, against_dense

import superpose
from superpose.lowrank import Term, truncate


def test_a_layer_has_tinyllamas_seven_modules(tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "a", TINYLLAMA, layers=1, rank=2, seed=0)
    shapes = {name.rpartition(".")[2]: delta.shape for name, delta in superpose.load(path).items()}
    assert shapes == {
        "q_proj": (2048, 2048),
        "k_proj": (256, 2048),
        "v_proj": (256, 2048),
        "o_proj": (2048, 2048),
        "gate_proj": (5632, 2048),
        "up_proj": (5632, 2048),
        "down_proj": (2048, 5632),
    }


def test_the_best_approximation_has_no_excess_and_no_distance() -> None:
    rng = np.random.default_rng(0)
    B, A = rng.normal(size=(40, 9)), rng.normal(size=(9, 30))
    small = truncate((Term(1.0, B, A),), 4)
    assert against_dense(small.B @ small.A, B @ A, 4) == pytest.approx((0, 0), abs=1e-12)


def test_anything_else_has_both() -> None:
    delta = np.diag([3.0, 2.0, 1.0])
    best = np.diag([3.0, 2.0, 0.0])
    assert against_dense(best, delta, 2) == pytest.approx((0, 0))
    excess, distance = against_dense(np.diag([3.0, 0.0, 1.0]), delta, 2)
    assert excess == pytest.approx(1.0)
    assert distance == pytest.approx(np.hypot(2, 1) / np.hypot(3, 2))
