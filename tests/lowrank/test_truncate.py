"""Truncation is the dense optimum of Eckart and Young, and says so deterministically."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.errors import BadInput
from superpose.lowrank import Hadamard, Term, singular_values, truncate, truncated


def best(dense: np.ndarray, rank: int) -> np.ndarray:
    U, s, Vt = np.linalg.svd(dense, full_matrices=False)
    return (U[:, :rank] * s[:rank]) @ Vt[:rank]


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_truncation_is_the_dense_optimum(draw, oracle, rank):
    terms = draw(4, 4)
    expected = best(oracle(terms), rank)
    result = truncate(terms, rank)
    assert tuple(result.A.shape) == (rank, 17)
    off = np.linalg.norm(oracle((result,)) - expected) / np.linalg.norm(expected)
    assert off < 1e-5


def test_its_error_is_the_optimum_error(draw, oracle):
    terms = draw(6, 5)
    dense = oracle(terms)
    lost = np.linalg.norm(dense - oracle((truncate(terms, 4),)))
    assert lost == pytest.approx(np.linalg.norm(dense - best(dense, 4)), rel=1e-5)


def test_float64_factors_are_truncated_in_float64(draw, oracle):
    terms = draw(4, 4, dtype="float64")
    result = oracle((truncate(terms, 3),))
    np.testing.assert_allclose(result, best(oracle(terms), 3), rtol=1e-10, atol=1e-10)


def test_a_rank_that_is_too_large_is_clamped(draw, oracle):
    terms = draw(4, 4, shape=(6, 17))
    result = truncate(terms, 100)
    assert tuple(result.B.shape) == (6, 6)
    np.testing.assert_allclose(oracle((result,)), oracle(terms), rtol=1e-4, atol=1e-4)


def test_the_largest_entry_of_each_output_direction_is_positive(draw, plain):
    B = plain(truncate(draw(5), 4).B)
    assert (B[np.abs(B).argmax(axis=0), np.arange(4)] > 0).all()


def test_the_sign_of_the_factors_does_not_depend_on_how_they_were_written(draw, plain):
    ((c, B, A),) = draw(3, dtype="float64")
    first, second = truncate((Term(c, B, A),), 2), truncate((Term(c, -B, -A),), 2)
    np.testing.assert_allclose(plain(first.B), plain(second.B), rtol=1e-9, atol=1e-12)


def test_both_factors_are_of_one_size(draw, plain):
    _, B, A = truncate(draw(3, 3), 4)
    lengths = np.linalg.norm(plain(B), axis=0), np.linalg.norm(plain(A), axis=1)
    np.testing.assert_allclose(*lengths, rtol=1e-4)


def test_directions_that_are_only_rounding_become_zeros(draw, plain):
    x = draw(2)
    _, B, A = truncate(x + x, 4)
    assert not plain(B)[:, 2:].any()
    assert not plain(A)[2:].any()


def test_a_zero_delta_truncates_to_zero(make, oracle):
    zero = Term(2.0, make(np.zeros((5, 3), "float32")), make(np.ones((3, 4), "float32")))
    assert not oracle((truncate((zero,), 2),)).any()


def test_singular_values_are_those_of_the_dense_delta(draw, oracle):
    terms = draw(3, 2, dtype="float64")
    expected = np.linalg.svd(oracle(terms), compute_uv=False)[:5]
    np.testing.assert_allclose(singular_values(terms), expected, rtol=1e-10)


def test_a_rank_below_one_is_refused(draw):
    with pytest.raises(ValueError, match="at least 1"):
        truncate(draw(2), 0)


def test_a_delta_whose_norm_no_float64_holds_is_bad_input():
    """Each of its two directions is a float64, and the root of their squares is none."""
    B, A = 1.5e308 * np.eye(3)[:, :2], np.eye(2, 4)
    with pytest.raises(BadInput, match="their product lies beyond float64"):
        truncate((Term(1.0, B, A),), 1)


def test_a_small_product_is_truncated_by_its_factors(rng, oracle):
    sides = [(rng.normal(size=(9, 2)), rng.normal(size=(2, 8))) for _ in "ab"]
    product = Hadamard(0.5, *sides)
    (first, second) = (B @ A for B, A in sides)
    found = truncated((product,), 3)
    expected = 0.5 * first * second
    np.testing.assert_allclose(oracle((found.term,)), best(expected, 3), rtol=1e-9, atol=1e-12)
    assert found.whole == pytest.approx(np.linalg.norm(expected))
    assert not found.exact


@pytest.mark.parametrize("turned", [False, True])
def test_a_term_far_below_the_others_is_told_where_each_is_large_on_another_side(rng, turned):
    """Rounding is that of the products |b_j| |a_j|, 1e10 each, and not of 1e10 times 1e10."""
    B, A = np.linalg.qr(rng.normal(size=(9, 3)))[0], np.linalg.qr(rng.normal(size=(7, 3)))[0].T
    B[:, 1] += B[:, 0]
    terms = tuple(
        Term(1.0, b * B[:, k : k + 1], a * A[k : k + 1])
        for k, (b, a) in enumerate([(1.0, 1e10), (1e10, 1.0), (1.0, 1e3)])
    )
    if turned:
        terms = tuple(Term(1.0, t.A.T, t.B.T) for t in terms)
    expected = np.linalg.svd(sum(t.B @ t.A for t in terms), compute_uv=False)[:3]
    np.testing.assert_allclose(singular_values(terms)[:3], expected, rtol=1e-6)
