"""Cosines and lengths where squares would lose them, and deltas of usual size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from superpose.lowrank import Term
from superpose.lowrank.careful import tamed, units


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
