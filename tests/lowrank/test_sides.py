"""Overlaps of the sides, from orthonormal bases and from Gram matrices, tell the same."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank import (
    Term,
    input_basis,
    output_basis,
    overlap,
    overlaps,
    principal_angles,
    side_grams,
)


def from_grams(*deltas):
    (group,) = side_grams([deltas])
    return (
        overlaps(group.output, group.ranks, group.coefficients),
        overlaps(group.input, group.ranks, group.coefficients),
    )


def test_bases_are_orthonormal_and_span_the_sides(draw, plain):
    terms = draw(3, 2)
    Q, P = plain(output_basis(terms)), plain(input_basis(terms))
    assert Q.shape == (23, 5)
    assert P.shape == (17, 5)
    np.testing.assert_allclose(Q.T @ Q, np.eye(5), atol=1e-12)
    B, A = plain(terms[0].B), plain(terms[1].A)
    np.testing.assert_allclose(Q @ (Q.T @ B), B, atol=1e-10)
    np.testing.assert_allclose(A @ P @ P.T, A, atol=1e-10)


def test_overlap_is_one_for_a_side_that_contains_the_other(draw):
    x = draw(3)
    assert overlap(output_basis(x), output_basis(x + draw(2))) == pytest.approx(1.0, abs=1e-12)


def test_overlap_is_zero_for_orthogonal_sides(make):
    one, two = make(np.eye(6)[:, :2]), make(np.eye(6)[:, 2:5])
    assert overlap(one, two) == 0.0
    np.testing.assert_allclose(principal_angles(one, two), [np.pi / 2] * 2)


def test_principal_angles_are_the_angles_the_bases_were_turned_by(make):
    turned = np.zeros((6, 2))
    turned[0, 0], turned[2, 0] = np.cos(0.3), np.sin(0.3)
    turned[1, 1], turned[3, 1] = np.cos(1.1), np.sin(1.1)
    angles = principal_angles(make(np.eye(6)[:, :2]), make(turned))
    np.testing.assert_allclose(angles, [0.3, 1.1], atol=1e-12)
    expected = (np.cos(0.3) ** 2 + np.cos(1.1) ** 2) / 2
    assert overlap(make(np.eye(6)[:, :2]), make(turned)) == pytest.approx(expected)


def test_overlap_averages_to_its_chance_value(make, rng):
    d, ranks = 40, (3, 5)
    values = [
        overlap(*(np.linalg.qr(rng.standard_normal((d, r)))[0] for r in ranks)) for _ in range(400)
    ]
    assert np.mean(values) == pytest.approx(max(ranks) / d, rel=0.1)


def test_gram_matrices_tell_the_overlaps_of_the_bases(draw):
    deltas = draw(3), draw(2, 2), draw(5)
    outputs, inputs = from_grams(*deltas)
    for i, x in enumerate(deltas):
        for j, y in enumerate(deltas):
            expected = overlap(output_basis(x), output_basis(y))
            assert outputs.values[0, i, j] == pytest.approx(expected, rel=1e-8)
            expected = overlap(input_basis(x), input_basis(y))
            assert inputs.values[0, i, j] == pytest.approx(expected, rel=1e-8)
    assert outputs.ranks.tolist() == [[3, 4, 5]]


def test_dependent_columns_do_not_count_twice(draw, make, plain):
    ((c, B, A),) = draw(2, dtype="float64")
    doubled = (Term(c, make(np.hstack([plain(B)] * 2)), make(np.vstack([plain(A)] * 2))),)
    assert output_basis(doubled).shape[1] == 2
    outputs, _ = from_grams(doubled, draw(3))
    assert outputs.ranks.tolist() == [[2, 3]]
    expected = overlap(output_basis(doubled), output_basis(draw(3)))
    assert 0.0 <= outputs.values[0, 0, 1] <= 1.0
    assert outputs.values[0, 0, 0] == pytest.approx(1.0)
    assert np.isfinite(expected)


def test_one_direction_written_twice_is_one(draw, make, plain):
    """Beside it nothing is left: the second strength is zero, give or take a rounding."""
    ((c, B, A),) = draw(1, dtype="float64")
    for times in (1.0, -3.0, 0.7):
        B2, A2 = np.hstack([plain(B), times * plain(B)]), np.vstack([plain(A), plain(A) / 7])
        outputs, inputs = from_grams((Term(c, make(B2), make(A2)),), draw(1))
        for side in (outputs, inputs):
            assert side.ranks.tolist() == [[1, 1]]
            assert side.values[0, 0, 0] == pytest.approx(1.0)


def test_padding_with_zeros_changes_nothing(draw, make, plain):
    ((c, B, A),) = x = draw(3)
    y = draw(4)
    wide = np.hstack([plain(B), np.zeros((23, 2))]).astype("float32")
    tall = np.vstack([plain(A), np.zeros((2, 17))]).astype("float32")
    padded = (Term(c, make(wide), make(tall)),)
    for before, after in zip(from_grams(x, y), from_grams(padded, y), strict=True):
        assert after.ranks.tolist() == [[3, 4]]
        np.testing.assert_allclose(after.values, before.values, rtol=1e-9)


def test_a_zero_side_has_no_overlap(draw, make):
    zero = (Term(1.0, make(np.zeros((23, 2), "float32")), make(np.ones((2, 17), "float32"))),)
    outputs, inputs = from_grams(zero, draw(3))
    assert np.isnan(outputs.values[0, 0, 1])
    assert inputs.ranks.tolist() == [[1, 3]]
    assert output_basis(zero).shape[1] == 0
    assert np.isnan(overlap(output_basis(zero), output_basis(draw(3))))


def test_terms_of_coefficient_zero_do_not_count(draw, make):
    x, y = draw(2), draw(3)
    silent = (*x, y[0]._replace(coefficient=0.0))
    assert output_basis(silent).shape[1] == 2
    outputs, _ = from_grams(silent, y)
    assert outputs.ranks.tolist() == [[2, 3]]


def test_the_scale_of_the_factors_does_not_matter(draw, make):
    ((c, B, A),) = x = draw(3, dtype="float64")
    y = draw(2, dtype="float64")
    D = np.diag([1e-7, 1.0, 1e5])
    scaled = (Term(c, B @ make(D), make(np.linalg.inv(D)) @ A),)
    for before, after in zip(from_grams(x, y), from_grams(scaled, y), strict=True):
        np.testing.assert_allclose(after.values, before.values, rtol=1e-8)


def test_overlaps_do_not_change_when_the_factors_are_rewritten(draw, make, rng):
    """A -> RA, B -> B R^-1 spans the same sides."""
    ((c, B, A),) = x = draw(4, dtype="float64")
    y = draw(3, dtype="float64")
    R = rng.standard_normal((4, 4)) + 4 * np.eye(4)
    rewritten = (Term(c, B @ make(np.linalg.inv(R)), make(R) @ A),)
    for before, after in zip(from_grams(x, y), from_grams(rewritten, y), strict=True):
        np.testing.assert_allclose(after.values, before.values, rtol=1e-8)


@pytest.mark.parametrize("weakest", [1e-9, 1e9])
def test_a_column_counts_whatever_its_length_beside_the_others(draw, make, plain, weakest):
    ((c, B, A),) = draw(3, dtype="float64")
    scale = np.array([1.0, weakest, 1.0])
    scaled = (Term(c, make(plain(B) * scale), make(plain(A) * scale[:, None])),)
    for basis, side in ((output_basis, plain(B)), (input_basis, plain(A).T)):
        Q = plain(basis(scaled))
        assert Q.shape == (len(side), 3)
        np.testing.assert_allclose(Q @ (Q.T @ side), side, atol=1e-9)
