"""Second moments, whole or as sketches, against their matrices written out."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank.second_moment import SINGULAR, SecondMoment, regressed

ROUNDING = 1e-9


def written_out(moment: SecondMoment) -> np.ndarray:
    """V diag(values) V^T + rest (I - V V^T), by the definition."""
    if moment.whole is not None:
        return moment.whole
    V = moment.vectors
    outside = np.eye(moment.size) - V @ V.T
    return V @ np.diag(moment.values) @ V.T + moment.rest * outside


def basis(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


@pytest.fixture(params=["whole", "sketch", "sketch without rest"])
def moment(request: pytest.FixtureRequest, rng: np.random.Generator) -> SecondMoment:
    if request.param == "whole":
        X = rng.standard_normal((12, 40)) * np.logspace(0, -2, 12)[:, None]
        return SecondMoment.of(X @ X.T / 40)
    rest = 0.25 if request.param == "sketch" else 0.0
    return SecondMoment(basis(rng, 12, 3), np.array([5.0, 2.0, 0.5]), rest)


def test_its_figures_are_those_of_its_matrix(moment: SecondMoment) -> None:
    C = written_out(moment)
    assert moment.size == 12
    assert moment.trace == pytest.approx(np.trace(C))
    strongest = np.linalg.eigvalsh(C)[-1]
    assert strongest <= moment.strongest * (1 + ROUNDING)
    assert moment.strongest <= moment.trace
    if moment.whole is None:
        assert moment.strongest == pytest.approx(strongest)


def test_what_is_multiplied_with_it_is_multiplied_with_its_matrix(
    moment: SecondMoment, rng: np.random.Generator
) -> None:
    C, A, V = written_out(moment), rng.standard_normal((4, 12)), basis(rng, 12, 5)
    np.testing.assert_allclose(moment.times(A), A @ C, atol=ROUNDING)
    between = written_out(moment.between(V))
    np.testing.assert_allclose(between, V.T @ C @ V, atol=ROUNDING)
    assert np.array_equal(between, between.T)


def test_a_rest_above_all_that_is_kept_is_the_strongest(rng: np.random.Generator) -> None:
    assert SecondMoment(basis(rng, 6, 2), np.array([1.0, 0.5]), 3.0).strongest == 3.0
    assert SecondMoment(np.zeros((6, 0)), np.zeros(0), 0.5).strongest == 0.5


@pytest.mark.parametrize("directions", [1, 2, 3, 12, 20])
def test_a_sketch_keeps_the_strongest_directions_and_the_trace(
    moment: SecondMoment, directions: int
) -> None:
    found = moment.sketched(directions)
    values = np.linalg.eigvalsh(written_out(moment))[::-1]
    own = 12 if moment.whole is not None else len(moment.values)
    kept = min(directions, own)
    assert found.whole is None
    assert found.vectors.shape == (12, kept)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(kept), atol=ROUNDING)
    np.testing.assert_allclose(found.values, values[:kept], rtol=1e-6, atol=ROUNDING)
    assert found.trace == pytest.approx(moment.trace)
    left = values[kept:]
    assert found.rest == pytest.approx(left.mean() if left.size else 0.0, abs=ROUNDING)


def test_few_directions_of_many_come_of_a_random_range_and_are_the_same(
    rng: np.random.Generator,
) -> None:
    V = basis(rng, 60, 60)
    C = V @ np.diag(10.0 ** -np.arange(60)) @ V.T
    found = SecondMoment.of((C + C.T) / 2).sketched(4)
    np.testing.assert_allclose(found.values, [1.0, 0.1, 0.01, 0.001], rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.diag(found.vectors.T @ V[:, :4])), 1.0, atol=1e-6)


def expected(rows: list[np.ndarray], matrices: list[np.ndarray], ridge: float) -> list[np.ndarray]:
    total = np.sum(matrices, axis=0)
    total = total + ridge * np.trace(total) / len(total) * np.eye(len(total))
    return [A @ C @ np.linalg.inv(total) for A, C in zip(rows, matrices, strict=False)]


@pytest.mark.parametrize("kinds", ["sketches", "whole", "both", "many"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_regression_is_its_formula(kinds: str, ridge: float, rng: np.random.Generator) -> None:
    def sketch(count: int) -> SecondMoment:
        return SecondMoment(basis(rng, 12, count), np.linspace(4.0, 1.0, count), 0.2)

    def whole() -> SecondMoment:
        X = rng.standard_normal((12, 30))
        return SecondMoment.of(X @ X.T / 30)

    moments = {
        "sketches": lambda: [sketch(3), sketch(2), sketch(4)],
        "whole": lambda: [whole(), whole(), whole()],
        "both": lambda: [sketch(3), whole(), sketch(1)],
        "many": lambda: [sketch(6), sketch(6), sketch(2)],  # as many directions as inputs
    }[kinds]()
    rows = [
        rng.standard_normal((2, 12)),
        rng.standard_normal((5, 12)),
    ]  # the third in the sum alone
    found = regressed(rows, moments, ridge)
    assert [each.shape for each in found] == [(2, 12), (5, 12)]
    for one, other in zip(found, expected(rows, [*map(written_out, moments)], ridge), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("directions", [3, 11])
def test_a_singular_sum_is_said_and_a_ridge_helps(
    directions: int, size: float, rng: np.random.Generator
) -> None:
    V = basis(rng, 12, directions)
    sketch = SecondMoment(V, np.full(directions, size), 0.0)
    for moment in (sketch, SecondMoment.of(written_out(sketch))):
        A = rng.standard_normal((2, 12))
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            regressed([A], [moment], 0.0)
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            regressed([A], [moment], SINGULAR / 100)
        (found,) = regressed([A], [moment], 0.5)
        np.testing.assert_allclose(found, A @ V @ V.T / (1 + 0.5 * directions / 12), atol=1e-8)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("count", [3, 7])
def test_a_weak_rest_is_not_taken_for_none(
    count: int, size: float, rng: np.random.Generator
) -> None:
    """Of three kept directions a sketch, of seven twice as many as there are inputs: a matrix."""
    moments = [SecondMoment(basis(rng, 12, count), np.full(count, size), 1e-6 * size)] * 2
    A = rng.standard_normal((2, 12))
    (found,) = regressed([A], moments, 0.0)
    np.testing.assert_allclose(found, A / 2, rtol=1e-6, atol=1e-8)


def test_the_strongest_of_many_are_exact_where_few_are_left_out(rng: np.random.Generator) -> None:
    """Of nearly equal strengths a random range would tell no more than about."""
    turn = basis(rng, 60, 60)
    strengths = np.linspace(1.2, 1.0, 60)
    found = SecondMoment.of((turn * strengths) @ turn.T).sketched(30)
    np.testing.assert_allclose(found.values, strengths[:30], rtol=1e-12)
    assert found.rest == pytest.approx(strengths[30:].mean())
