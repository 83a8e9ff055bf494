"""Factors of a change are its best approximation, by a dense SVD and a randomised one alike."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.extraction.factors import SMALL, factored, float64_norm, needs_sklearn


def low_rank(rows: int, columns: int, rank: int, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(11)
    exact = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    return (exact + noise * rng.standard_normal((rows, columns))).astype(np.float32)


def decaying(rows: int, columns: int, power: float) -> np.ndarray:
    """A matrix with singular values n**-power, as a fine-tune's change has."""
    rng = np.random.default_rng(12)
    few = min(rows, columns)
    U, V = (np.linalg.qr(rng.standard_normal((n, few)))[0] for n in (rows, columns))
    return ((U * np.arange(1, few + 1) ** -power) @ V.T).astype(np.float32)


SHAPES = [(40, 30), (30, 40), (400, 300)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_change_of_low_rank_comes_back_at_that_rank(shape: tuple[int, int]) -> None:
    D = low_rank(*shape, 4)
    found = factored(D, 4)
    assert (found.B.shape, found.A.shape) == ((shape[0], 4), (4, shape[1]))
    assert found.B.dtype == found.A.dtype == np.float32
    assert np.linalg.norm(found.B @ found.A - D) < 1e-6 * np.linalg.norm(D)
    assert found.kept == pytest.approx(found.whole, rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "power"), [((40, 30), 0.5), ((500, 400), 0.5), ((500, 400), 1.0)]
)
def test_the_energy_kept_is_that_of_numpys_svd(shape: tuple[int, int], power: float) -> None:
    """A slowly decaying spectrum is the hard case for a randomised SVD."""
    D = decaying(*shape, power)
    assert needs_sklearn(shape, 8) == (min(shape) > SMALL)
    s = np.linalg.svd(D.astype(np.float64), compute_uv=False)
    found = factored(D, 8)
    assert found.kept**2 == pytest.approx(np.sum(s[:8] ** 2), rel=1e-4)
    assert found.whole == pytest.approx(np.linalg.norm(s))
    # What is said to be kept is what the factors give, to the digit.
    lost = np.linalg.norm(D - found.B.astype(np.float64) @ found.A)
    assert lost**2 == pytest.approx(found.whole**2 - found.kept**2, rel=1e-5)


@pytest.mark.parametrize("shape", [(40, 30), (500, 400)], ids=str)
@pytest.mark.parametrize("energy", [0.3, 0.6, 0.9])
def test_a_share_of_energy_takes_the_least_rank_that_keeps_it(
    shape: tuple[int, int], energy: float
) -> None:
    D = decaying(*shape, 1.0)
    s = np.linalg.svd(D.astype(np.float64), compute_uv=False)
    least = int(np.argmax(np.cumsum(s**2) >= energy * np.sum(s**2))) + 1
    found = factored(D, min(shape), energy)
    assert found.A.shape[0] == least
    assert found.kept**2 >= energy * found.whole**2 * (1 - 1e-6)


def test_a_share_that_takes_more_than_the_largest_rank_is_capped() -> None:
    found = factored(decaying(500, 400, 0.1), 40, 0.9)
    assert found.A.shape[0] == 40
    assert found.kept**2 < 0.9 * found.whole**2


def test_a_rank_above_the_changes_own_brings_no_empty_directions() -> None:
    one = np.outer(np.arange(1.0, 9.0), np.arange(1.0, 7.0)).astype(np.float32)
    assert factored(one, 5).B.shape == (8, 1)
    assert factored(low_rank(40, 30, 3), 100).A.shape[0] <= 30


def test_the_same_seed_gives_the_same_factors_and_another_one_the_same_energy() -> None:
    D = decaying(500, 400, 0.5)
    one, again, other = (factored(D, 8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.B, again.B)
    assert not np.array_equal(one.B, other.B)
    assert other.kept == pytest.approx(one.kept, rel=1e-4)


def test_factors_are_of_one_size_so_that_halves_hold_them() -> None:
    found = factored(decaying(500, 400, 0.5), 8)
    np.testing.assert_allclose(
        np.linalg.norm(found.B, axis=0), np.linalg.norm(found.A, axis=1), rtol=1e-4
    )


@pytest.mark.parametrize("size", [2.0**-120, 2.0**100])
def test_the_size_of_a_change_does_not_matter(size: float) -> None:
    D = decaying(500, 400, 1.0)
    one, scaled = factored(D, 8), factored(D * np.float32(size), 8)
    root = np.float32(np.sqrt(size))
    np.testing.assert_allclose(scaled.B / root, one.B, rtol=1e-4, atol=1e-6)
    assert (scaled.kept / size, scaled.whole / size) == pytest.approx((one.kept, one.whole))


@pytest.mark.parametrize("value", [3e38, -3e38, 1e-45], ids=["large", "negative", "small"])
def test_a_change_at_the_ends_of_float32_is_factored(value: float) -> None:
    D = np.zeros((8, 6), np.float32)
    D[3, 4] = value
    found = factored(D, 2)
    written = found.B.astype(np.float64) @ found.A.astype(np.float64)
    np.testing.assert_allclose(written, D.astype(np.float64), rtol=1e-5)


def test_the_norm_is_float64s_whatever_the_change_is_in() -> None:
    x = np.full((3000, 1001), 1e-3, dtype=np.float32)
    assert float64_norm(x) == pytest.approx(float(np.float32(1e-3)) * np.sqrt(x.size), rel=1e-12)
