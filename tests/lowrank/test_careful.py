"""Cosines and lengths where squares would lose them, and deltas of usual size."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from superpose.lowrank import Hadamard, Term, dense, gram, inner, is_zero, norm, stack
from superpose.lowrank.careful import tamed, units
from superpose.lowrank.inner_products import share


@pytest.mark.parametrize("size", [1e-170, 1.0, 1e150])
def test_units_are_the_dense_ones_whatever_the_size(draw, oracle, size):
    deltas = [draw(3, 2, dtype="float64"), draw(2, dtype="float64"), draw(1, dtype="float64")]
    flat = [oracle(d).ravel() for d in deltas]
    lengths = [np.linalg.norm(x) for x in flat]
    found = units([tuple(t._replace(B=t.B * size) for t in d) for d in deltas])
    expected = [[x @ y / m / n for y, n in zip(flat, lengths, strict=True)]
                for x, m in zip(flat, lengths, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found.cosines, expected, atol=1e-12)
    np.testing.assert_allclose(found.norms, np.array(lengths) * size, rtol=1e-12)


def test_what_is_missing_or_zero_has_no_cosine_and_no_length(draw, make):
    ((c, B, A),) = real = draw(2, dtype="float64")
    away = (Term(c, B, A), Term(-c / 2, B * 2, A))
    found = units([None, real, (Term(c, B * 0.0, A),), away, real])
    assert found.norms[[0, 2, 3]].tolist() == [0.0, 0.0, 0.0]
    assert found.norms[1] == found.norms[4] > 0
    wanted = np.zeros((5, 5))
    wanted[np.ix_([1, 4], [1, 4])] = 1.0
    np.testing.assert_allclose(found.cosines, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("b", "a", "c"), [(1.0, 1.0, 1.5), (1e200, 1e-30, -3.0), (1e-200, 7.0, 1e-90)]
)
def test_a_tamed_delta_is_of_usual_size_and_the_same(draw, plain, b, a, c):
    ((_, B, A),) = draw(3, dtype="float64")
    ((coefficient, small_B, small_A),), power = tamed((Term(c, B * b, A * a),))
    for factor in (small_B, small_A):
        assert 0.5 <= np.abs(plain(factor)).max() < 1.0
    assert 0.5 <= abs(coefficient) < 1.0
    # Powers of two round nothing: the product is the same to the last bit, where it can be held.
    top = math.frexp(np.abs(plain(B * b)).max())[1]
    np.testing.assert_array_equal(plain(small_B) * 2.0**top, plain(B * b))
    mantissa, exponent = math.frexp(c)
    assert coefficient == mantissa
    assert power == top + math.frexp(np.abs(plain(A * a)).max())[1] + exponent


def test_terms_are_tamed_by_one_power_and_zeros_among_them_are_zeros(draw, plain, oracle):
    ((_, B, A),) = draw(2, dtype="float64")
    terms = (Term(3.0, B, A), Term(2.0**-20, B, A), Term(5.0, B * 0.0, A), Term(2.0, B, A * 0.0))
    found, power = tamed(terms)
    assert [t.coefficient for t in found][2:] == [0.0, 0.0]
    np.testing.assert_array_equal(oracle(found) * 2.0**power, oracle(terms))
    ((coefficient, *_),), power = tamed((Term(1.0, B * 0.0, A * 0.0),))
    assert (coefficient, power) == (0.0, 0)


def test_a_term_far_below_the_others_becomes_zero(draw):
    ((_, B, A),) = draw(2, dtype="float64")
    found, _ = tamed((Term(1.0, B * 2.0**900, A * 2.0**100), Term(2.0**-900, B * 2.0**-100, A)))
    assert 0.5 <= found[0].coefficient < 1.0
    assert 0.0 <= found[1].coefficient < 1e-290


@pytest.mark.parametrize("size", [1e-170, 1e-8, 1.0, 1e8, 1e150])
def test_a_share_is_the_inner_product_over_the_lengths_whatever_the_size(draw, oracle, size):
    x, y = draw(3, dtype="float64"), draw(2, dtype="float64")
    big = [tuple(t._replace(B=t.B * size) for t in d) for d in (x, y)]
    own = norm(big[0]), norm(big[1])
    expected = np.sum(oracle(x) * oracle(y)) / np.linalg.norm(oracle(x)) / np.linalg.norm(oracle(y))
    assert share(*big, own, own) == pytest.approx(expected, rel=1e-9)
    assert share(*big, own, (own[0] * 2, own[1] * 4)) == pytest.approx(expected / 8, rel=1e-9)


def test_a_share_of_what_cancelling_terms_leave_is_right(draw, make, oracle):
    ((c, B, A),) = draw(3, dtype="float64")
    ((_, b, a),) = draw(1, dtype="float64")
    left, y = Term(1e-7, b, a), draw(2, dtype="float64")
    x = (Term(c, B, A), left, Term(-c / 3, B * 3, A))
    own = norm(x), norm(y)
    flat = oracle((left,)).ravel(), oracle(y).ravel()
    expected = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
    assert share(x, y, own, own) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_factors_of_any_precision_stand_beside_a_product(dtype):
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(9, 2)), rng.normal(size=(2, 7))) for _ in "ab"]
    product = Hadamard(0.5, *pairs)
    term = Term(2.0, *(rng.normal(size=n).astype(dtype) for n in ((9, 3), (3, 7))))
    plain = 2.0 * term.B.astype("f8") @ term.A.astype("f8")
    whole = 0.5 * (pairs[0][0] @ pairs[0][1]) * (pairs[1][0] @ pairs[1][1])
    assert inner((product,), (term,)) == pytest.approx(np.sum(plain * whole), rel=1e-12)
    assert inner((term,), (product,)) == pytest.approx(np.sum(plain * whole), rel=1e-12)
    assert norm((product, term)) == pytest.approx(np.linalg.norm(plain + whole), rel=1e-12)
    flat = [whole.ravel(), (plain + whole).ravel()]
    np.testing.assert_allclose(
        gram([(product,), (product, term)]), [[x @ y for y in flat] for x in flat], rtol=1e-12
    )
    own = norm((product,)), norm((product, term))
    cosine = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
    assert share((product,), (product, term), own, own) == pytest.approx(cosine, rel=1e-12)


@pytest.mark.parametrize(("dtype", "least"), [("float16", "float32"), ("float64", "float64")])
def test_a_stack_is_of_float32_at_least(dtype, least):
    rng = np.random.default_rng(1)
    terms = [Term(0.5, *(rng.normal(size=n).astype(dtype) for n in ((5, 2), (2, 4)))) for _ in "ab"]
    found = stack(tuple(terms))
    assert (found.B.dtype.name, found.A.dtype.name) == (least, least)
    np.testing.assert_allclose(found.B @ found.A, dense(tuple(terms)), rtol=1e-5, atol=1e-6)


def test_terms_in_dtypes_that_have_none_in_common_are_stacked_widened():
    """NumPy knows no dtype for both bfloat16 and float16."""
    rng = np.random.default_rng(2)
    terms = tuple(
        Term(0.5, *(rng.normal(size=n).astype(dtype) for n in ((5, 2), (2, 4))))
        for dtype in (ml_dtypes.bfloat16, np.float16)
    )
    found = stack(terms)
    assert (found.B.dtype.name, found.A.dtype.name) == ("float32", "float32")
    np.testing.assert_allclose(found.B @ found.A, dense(terms), rtol=1e-5, atol=1e-6)


def test_a_term_is_zero_by_its_coefficient_or_one_of_its_factors():
    B, A = np.ones((3, 2)), np.ones((2, 4))
    assert not is_zero(Term(0.5, B, A))
    assert all(
        is_zero(Term(c, b, a)) for c, b, a in ((0.0, B, A), (1.0, B * 0, A), (1.0, B, A * 0))
    )
