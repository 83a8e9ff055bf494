"""A delta has one canonical split, and several have one pair of bases, whatever files hold."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank import Term
from superpose.lowrank.canonical_split import (
    NEGLIGIBLE,
    canonical,
    polar,
    shared,
    sides,
    significant,
    sizes,
)
from superpose.lowrank.dense_rank import truncated_dense


def drawn(seed: int, rank: int = 3, high: int = 12, wide: int = 9) -> Term:
    rng = np.random.default_rng(seed)
    return Term(0.5, rng.standard_normal((high, rank)), rng.standard_normal((rank, wide)))


def other(term: Term, seed: int) -> Term:
    """The same delta in other factors."""
    R = np.random.default_rng(seed).standard_normal((term.rank, term.rank)) + 4 * np.eye(term.rank)
    return Term(term.coefficient * 8.0, term.B @ np.linalg.inv(R) / 8.0, R @ term.A)


def formed(term: Term) -> np.ndarray:
    return np.asarray(term.coefficient * term.B @ term.A)


@pytest.mark.parametrize("seed", range(3))
def test_a_delta_in_other_factors_has_the_same_canonical_split(seed: int) -> None:
    term = drawn(seed)
    first, second = canonical((term,)), canonical((other(term, seed),))
    np.testing.assert_allclose(first.B, second.B, atol=1e-12)
    np.testing.assert_allclose(first.A, second.A, atol=1e-12)
    np.testing.assert_allclose(formed(first), formed(term), atol=1e-12)


def test_the_canonical_split_is_the_svd_shared_alike_by_both_sides() -> None:
    split = canonical((drawn(0),))
    U, V = sides(split)
    np.testing.assert_allclose(U.T @ U, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(V.T @ V, np.eye(3), atol=1e-12)
    right = np.linalg.svd(formed(drawn(0)), compute_uv=False)[:3]
    np.testing.assert_allclose(sizes(split), right)
    np.testing.assert_allclose((U * right) @ V.T, formed(drawn(0)), atol=1e-12)


def test_a_delta_has_no_more_columns_than_its_rank() -> None:
    term = drawn(1)
    twice = (term, Term(-0.25, term.B, term.A), Term(3.0, term.B[:, :1], term.A[:1]))
    assert canonical(twice).rank == 3
    assert canonical((term, term._replace(coefficient=-0.5))).rank == 1
    assert not canonical((term, term._replace(coefficient=-0.5))).B.any()


def test_shared_bases_hold_every_delta_and_depend_on_neither_split_nor_order() -> None:
    terms = [drawn(0, 3), drawn(1, 2), drawn(2, 1)]
    found = shared([canonical((term,)) for term in terms])
    for term, middle in zip(terms, found.middles, strict=True):
        np.testing.assert_allclose(formed(found.back(middle)), formed(term), atol=1e-12)
    turned = shared([canonical((other(term, 5),)) for term in terms[::-1]])
    for x, y in ((found.outputs, turned.outputs), (found.inputs, turned.inputs)):
        np.testing.assert_allclose(np.abs(np.sum(x * y, axis=0)), 1.0)


def test_deltas_that_read_the_same_inputs_share_no_more_than_those() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 9))
    splits = [canonical((Term(1.0, rng.standard_normal((12, 3)), A),)) for _ in range(3)]
    found = shared(splits)
    assert found.outputs.shape == (12, 9)
    assert found.inputs.shape == (9, 3)


def test_a_polar_factor_has_orthonormal_columns_and_nothing_of_what_is_not_there() -> None:
    x = np.random.default_rng(0).standard_normal((10, 4))
    np.testing.assert_allclose(polar(x).T @ polar(x), np.eye(4), atol=1e-12)
    twice = polar(np.concatenate([x, x], axis=1))
    np.testing.assert_allclose(np.linalg.svd(twice, compute_uv=False)[:4], 1.0)
    assert np.linalg.matrix_rank(twice) == 4
    np.testing.assert_allclose(twice[:, :4], twice[:, 4:], atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 30), (600, 700)])
def test_a_formed_matrix_is_cut_to_its_best_approximation(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = 0.01 * rng.standard_normal(shape)
    x += rng.standard_normal((shape[0], 3)) @ rng.standard_normal((3, shape[1]))
    found = truncated_dense(x, 3)
    U, s, Vt = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(formed(found.term), (U[:, :3] * s[:3]) @ Vt[:3], atol=1e-8)
    assert found.kept == pytest.approx(np.linalg.norm(s[:3]))
    assert found.whole == pytest.approx(np.linalg.norm(x))
    assert not found.exact
    assert truncated_dense((U[:, :3] * s[:3]) @ Vt[:3], 3).exact is (shape[0] < 512)


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_what_is_rounding_beside_the_first_does_not_count_whatever_its_size(size: float) -> None:
    values = np.array([1.0, 0.1, 2 * NEGLIGIBLE, NEGLIGIBLE / 2, 0.0])
    assert significant(size * values) == 3
    assert significant(np.zeros(3)) == significant(np.zeros(0)) == 0


def test_deltas_of_one_direction_have_bases_of_one_column() -> None:
    """What else comes out of their stack is rounding, however small the second strength is."""
    term = drawn(3, rank=1)
    found = shared([canonical((each,)) for each in (term, term._replace(coefficient=-1.7))])
    assert found.outputs.shape == (12, 1)
    assert found.inputs.shape == (9, 1)
