"""A sum of smaller rank is the best there is, and says how much of the energy it keeps."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

import superpose
from superpose.compose import best_rank
from superpose.errors import BadInput, SuperposeWarning
from superpose.lowrank import dense

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
    smaller, kept = best_rank(total, rank)
    best = whole = 0.0
    for module in total:
        U, s, Vt = np.linalg.svd(dense(total[module].terms).astype(np.float64))
        right = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        np.testing.assert_allclose(dense(smaller[module].terms), right, atol=1e-4)
        best, whole = best + float(np.sum(s[:rank] ** 2)), whole + float(np.sum(s**2))
    assert kept == pytest.approx(best / whole, rel=1e-5)
    assert smaller.rank == rank
    assert smaller.parents == total.parents


@pytest.mark.parametrize("rank", [6, 7, 100])
def test_a_rank_that_is_no_smaller_is_said_and_the_sum_stays_exact(
    rank: int, total: superpose.Adapter
) -> None:
    with pytest.warns(SuperposeWarning, match="the sum's own rank 6"):
        same, kept = best_rank(total, rank)
    assert kept == 1.0
    assert same is total


def test_a_smaller_rank_says_nothing(total: superpose.Adapter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best_rank(total, 5)


def test_a_zero_sum_keeps_nothing_of_nothing(total: superpose.Adapter) -> None:
    assert np.isnan(best_rank(total - total, 1).energy_kept)


@pytest.mark.parametrize("rank", [0, -1, 1.5, True])
def test_a_rank_that_is_no_whole_number_of_at_least_1_is_bad_input(
    rank: int, total: superpose.Adapter
) -> None:
    with pytest.raises(BadInput, match="rank"):
        best_rank(total, rank)
