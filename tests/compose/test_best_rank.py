"""A sum of smaller rank is the best there is, and says how much of the energy it keeps."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

import superpose
from superpose.compose import BestRank
from superpose.errors import BadInput, BadSetting
from superpose.lowrank import dense, stack

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter


@pytest.fixture
def total(write_adapter: WriteAdapter) -> superpose.Adapter:
    parts = (superpose.load(write_adapter(f"a{i}", seed=i, rank=3)) for i in range(2))
    return superpose.exact_sum(list(parts), [1.0, -0.5])


@pytest.mark.parametrize("rank", [1, 2, 4, 5])
def test_it_is_the_dense_optimum_and_keeps_the_energy_it_says(
    rank: int, total: superpose.Adapter
) -> None:
    smaller = BestRank(rank).of(total)
    best = whole = 0.0
    for module in total:
        U, s, Vt = np.linalg.svd(dense(total[module].terms).astype(np.float64))
        right = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        np.testing.assert_allclose(dense(smaller[module].terms), right, atol=1e-4)
        best, whole = best + float(np.sum(s[:rank] ** 2)), whole + float(np.sum(s**2))
    assert smaller.made.energy_kept == pytest.approx(best / whole, rel=1e-5)
    assert smaller.rank == rank
    assert smaller.parents == total.parents


@pytest.mark.parametrize("rank", [7, 100])
def test_a_rank_above_the_sums_is_refused_by_name(rank: int, total: superpose.Adapter) -> None:
    with pytest.raises(BadSetting, match=rf"rank is {rank}, and `sum` .* has at most 6") as refused:
        BestRank(rank).of(total)
    assert refused.value.where == "rank"


def test_at_its_own_rank_the_sum_stays_exact(total: superpose.Adapter) -> None:
    assert BestRank(6).of(total) is total
    assert total.made.exact


def test_a_smaller_rank_says_nothing(total: superpose.Adapter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BestRank(5).of(total)


def test_a_zero_sum_keeps_nothing_of_nothing(total: superpose.Adapter) -> None:
    found = BestRank(1).of(total - total)
    assert found.made.energy_kept is None
    assert found.made.exact


def made(B: np.ndarray, A: np.ndarray) -> superpose.Adapter:
    return superpose.Adapter({"q": superpose.Delta.of(B.astype("f4"), A.astype("f4"))})


@pytest.mark.parametrize("difference", [1e-2, 1e-5, 3e-8])
@pytest.mark.parametrize("stacked", [False, True], ids=["two terms", "one term"])
def test_the_energy_of_a_near_cancellation_is_the_dense_one(
    difference: float, stacked: bool
) -> None:
    rng = np.random.default_rng(0)
    B, A = 0.05 * rng.standard_normal((60, 8)), 0.05 * rng.standard_normal((8, 40))
    x, y = made(B, A), made(B * (1 + difference * rng.standard_normal(B.shape)), A)
    total = x - y
    if stacked:
        _, B, A = stack(total["q"].terms)
        total = made(B, A)
    s = np.linalg.svd(
        sum(c * b.astype("f8") @ a.astype("f8") for c, b, a in total["q"].terms), compute_uv=False
    )
    smaller = BestRank(4).of(total)
    share = float(np.sum(s[:4] ** 2) / np.sum(s**2))
    assert smaller.made.energy_kept == pytest.approx(share, rel=1e-6)
    assert smaller.made.exact is False
    assert np.linalg.norm(dense(smaller["q"].terms)) == pytest.approx(np.linalg.norm(s[:4]))


def test_what_cancels_exactly_leaves_zero_and_no_noise() -> None:
    rng = np.random.default_rng(1)
    B, A = rng.standard_normal((60, 8)), rng.standard_normal((8, 40))
    smaller = BestRank(3).of(0.3 * made(B, A) - 0.3 * made(B, A))
    assert not dense(smaller["q"].terms).any()
    assert smaller.made.energy_kept is None
    assert smaller.made.exact


def test_a_share_that_rounds_to_1_is_not_called_exact() -> None:
    found = BestRank(1).of(made(np.diag([1.0, 1e-9]), np.eye(2)))
    assert found.made.energy_kept == 1.0
    assert found.made.exact is False


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_energies_neither_underflow_nor_overflow(size: float) -> None:
    adapter = size * made(np.diag([2.0, 1.0]), np.eye(2))
    assert BestRank(1).of(adapter).made.energy_kept == pytest.approx(0.8)


def test_a_parent_of_weight_0_costs_no_rank() -> None:
    rng = np.random.default_rng(2)
    x, y = (made(rng.standard_normal((9, 3)), rng.standard_normal((3, 9))) for _ in range(2))
    smaller = BestRank(3).of(x + 0 * y)
    assert smaller["q"].terms == x["q"].terms
    assert smaller.made.exact


@pytest.mark.parametrize("rank", [0, -1, 1.5, True])
def test_a_rank_that_is_no_whole_number_of_at_least_1_is_bad_input(
    rank: int, total: superpose.Adapter
) -> None:
    with pytest.raises(BadInput, match="rank"):
        BestRank(rank).of(total)
