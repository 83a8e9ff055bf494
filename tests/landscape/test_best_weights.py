"""The best task weights on quadratics: what a grid would find, and never worse than the usual."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.landscape.basis import Basis
from superpose.landscape.best_weights import BOUNDS, Objective, best_weights, objective_of, starts
from superpose.landscape.polynomial import Polynomial


def quadratic(constant: float, slope: np.ndarray, curvature: np.ndarray) -> Polynomial:
    adapters = len(slope)
    halved = curvature - np.diag(np.diag(curvature)) / 2
    coefficients = np.concatenate([[constant], slope, halved[np.triu_indices(adapters)]])
    shares, points = coefficients[None] * 7, np.zeros((1, adapters))
    return Polynomial(Basis.of(adapters), coefficients, shares, np.array([7]), 0.0, points)


def landscape(adapters: int, seed: int) -> list[Polynomial]:
    """Each domain is best served near its own adapter, the others disturb it."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(adapters):
        root = rng.normal(size=(adapters, adapters), scale=0.2) + 0.5 * np.eye(adapters)
        curvature = root @ root.T
        best = 0.9 * np.eye(adapters)[i] + 0.1 * rng.normal(size=adapters)
        made.append(quadratic(2.0, -curvature @ best, curvature))
    return made


def regrets(losses: list[Polynomial], weights: np.ndarray) -> np.ndarray:
    own = np.eye(len(losses))
    return np.array([q.value(weights) - q.value(own[i]) for i, q in enumerate(losses)])


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 3), st.sampled_from(["mean", "worst"]), st.integers(0, 99))
def test_no_point_of_a_grid_is_better(adapters: int, objective: Objective, seed: int) -> None:
    losses = landscape(adapters, seed)
    found = best_weights(losses, objective=objective)
    assert ((found >= BOUNDS[0]) & (found <= BOUNDS[1])).all()
    mine = objective_of(regrets(losses, found), objective)
    for point in itertools.product(
        np.linspace(*BOUNDS, 16 if adapters == 2 else 8), repeat=adapters
    ):
        assert mine <= objective_of(regrets(losses, np.array(point)), objective) + 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.sampled_from(["mean", "worst"]), st.integers(0, 99))
def test_it_is_never_worse_than_naive_sum_average_or_one_adapter(
    adapters: int, objective: Objective, seed: int
) -> None:
    losses = landscape(adapters, seed)
    mine = objective_of(regrets(losses, best_weights(losses, objective=objective)), objective)
    for usual in starts(adapters):
        assert mine <= objective_of(regrets(losses, usual), objective) + 1e-6


def test_the_bounds_hold_and_a_negative_curvature_ends_at_one() -> None:
    losses = [quadratic(1.0, np.array([0.1, 0.0]), np.array([[-1.0, 0.0], [0.0, 1.0]]))] * 2
    found = best_weights(losses, bounds=(-0.5, 2.0))
    assert found == pytest.approx([2.0, 0.0], abs=1e-5)
    assert losses[0].value(found) == pytest.approx(-0.8)


def test_a_shift_moves_the_slopes() -> None:
    losses = [quadratic(0.0, np.zeros(2), np.eye(2))] * 2
    found = best_weights(losses, bounds=(-1.0, 1.0), shift=np.array([[-0.5, 0.2]] * 2))
    assert found == pytest.approx([0.5, -0.2], abs=1e-5)
