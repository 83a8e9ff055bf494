"""Stacked factors give the sum of the deltas: no cross terms, coefficients folded into B."""

from __future__ import annotations

import numpy as np

from superpose.lowrank import stack


def test_one_term_holds_the_whole_sum(draw, oracle, plain):
    terms = draw(3, 1, 4)
    coefficient, B, A = stack(terms)
    assert coefficient == 1.0
    assert tuple(B.shape) == (23, 8)
    assert tuple(A.shape) == (8, 17)
    np.testing.assert_allclose(plain(B) @ plain(A), oracle(terms), rtol=1e-5, atol=1e-5)


def test_in_float64_the_sum_is_exact_to_rounding(draw, oracle, plain):
    terms = draw(3, 4)
    _, B, A = stack(terms, "float64")
    np.testing.assert_allclose(plain(B) @ plain(A), oracle(terms), rtol=1e-13, atol=1e-13)


def test_stacking_leaves_the_factors_as_they_were(draw, plain):
    terms = draw(2, 3)
    before = [plain(factor).copy() for term in terms for factor in term[1:]]
    stack(terms)
    after = [plain(factor) for term in terms for factor in term[1:]]
    assert all(np.array_equal(b, a) for b, a in zip(before, after, strict=True))
