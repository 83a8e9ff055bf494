"""When a best approximation comes from a randomised projection, and what that is then worth."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank import (
    Hadamard,
    Kronecker,
    Term,
    dense,
    gram,
    is_zero,
    norm,
    operator,
    truncated,
)
from superpose.lowrank.randomised import range_of
from superpose.lowrank.truncation import is_projected

ROWS, COLUMNS = 400, 500


def product(rank: int, seed: int = 0, shape: tuple[int, int] = (ROWS, COLUMNS)) -> Hadamard:
    """Of rank times rank."""
    rng = np.random.default_rng(seed)
    pairs = [(rng.normal(size=(shape[0], rank)), rng.normal(size=(rank, shape[1]))) for _ in "ab"]
    return Hadamard(0.5, *pairs)


def plain(rank: int) -> Term:
    rng = np.random.default_rng(rank)
    return Term(1.0, rng.normal(size=(ROWS, rank)), rng.normal(size=(rank, COLUMNS)))


def kron() -> Kronecker:
    rng = np.random.default_rng(3)
    return Kronecker(1.0, (rng.normal(size=(20, 20)),), (rng.normal(size=(20, 25)),))


@pytest.mark.parametrize(
    ("terms", "rank", "expected"),
    [
        pytest.param((plain(300),), 4, False, id="factors alone"),
        pytest.param((kron(),), 4, False, id="one Kronecker product"),
        pytest.param((kron().with_coefficient(0.0), kron()), 4, False, id="and one of nothing"),
        pytest.param((kron(), kron()), 4, True, id="two"),
        pytest.param((kron(), plain(2)), 4, True, id="one and factors"),
        pytest.param((product(17),), 4, True, id="289 ranks"),
        pytest.param((product(16),), 4, False, id="256, which one SVD takes"),
        pytest.param((product(17),), 80, False, id="289, and many are kept"),
        pytest.param((product(17),), 56, True, id="289, a few less than a quarter and 16"),
        pytest.param((product(17),), 57, False, id="289, a few more"),
        pytest.param((product(16), plain(1)), 4, True, id="256 and one"),
    ],
)
def test_it_is_projected_where_the_stacked_rank_is_far_above_what_is_kept(
    terms: tuple[Hadamard | Kronecker | Term, ...], rank: int, expected: bool
) -> None:
    assert is_projected(terms, rank) is expected


def test_what_would_not_fit_as_factors_is_projected_whatever_its_rank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from superpose.lowrank import truncation

    terms = (product(4),)
    assert not is_projected(terms, 4)
    monkeypatch.setattr(truncation, "MOST_OF_ONE", 16 * (ROWS + COLUMNS))
    assert not is_projected(terms, 4)
    monkeypatch.setattr(truncation, "MOST_OF_ONE", 16 * (ROWS + COLUMNS) - 1)
    assert is_projected(terms, 4)


def test_a_projection_says_what_it_keeps_and_that_something_is_left_out() -> None:
    terms = (product(17), kron())
    assert is_projected(terms, 8)
    found = truncated(terms, 8)
    whole = dense(terms)
    sizes = np.linalg.svd(whole, compute_uv=False)
    assert found.whole == pytest.approx(np.linalg.norm(whole))
    assert found.kept == pytest.approx(np.linalg.norm(sizes[:8]), rel=1e-2)
    assert found.kept <= np.linalg.norm(sizes[:8]) * (1 + 1e-12)
    assert found.exact is False
    kept = found.term.B @ found.term.A
    assert np.linalg.norm(kept) == pytest.approx(found.kept)


def test_a_range_holds_what_is_strong() -> None:
    rng = np.random.default_rng(5)
    U, V = (np.linalg.qr(rng.normal(size=(n, 40)))[0] for n in (60, 50))
    X = (U * 0.5 ** np.arange(40)) @ V.T
    Q = range_of(lambda x: X @ x, lambda x: X.T @ x, X.shape, 5)
    assert Q.shape == (60, 15)
    np.testing.assert_allclose(Q.T @ Q, np.eye(15), atol=1e-12)
    np.testing.assert_allclose(Q @ (Q.T @ U[:, :5]), U[:, :5], atol=1e-6)
    assert range_of(lambda x: X @ x, lambda x: X.T @ x, X.shape, 45).shape == (60, 50)


@pytest.mark.parametrize("rows", [1, 5, 12, 100])
def test_rows_taken_a_few_at_a_time_give_the_same(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (12, 18)
    deltas = [(product(3, 1, shape),), (product(2, 2, shape), product(3, 3, shape))]
    whole, lengths = gram(deltas), [norm(each) for each in deltas]
    monkeypatch.setattr(operator, "_CHUNK", rows * shape[1] * len(deltas))
    np.testing.assert_allclose(gram(deltas), whole, rtol=1e-12)
    assert [norm(each) for each in deltas] == pytest.approx(lengths, rel=1e-12)
    flat = [dense(each).ravel() for each in deltas]
    np.testing.assert_allclose(whole, [[x @ y for y in flat] for x in flat], rtol=1e-10)


def test_a_product_of_more_factors_than_its_sides_have_rows_is_formed_right() -> None:
    rng = np.random.default_rng(2)
    wide = rng.normal(size=(6, 5)), rng.normal(size=(5, 2))
    term = Kronecker(-2.0, wide, (rng.normal(size=(2, 2)),))
    formed = term.formed()
    assert formed.rank <= min(term.shape)
    expected = -2.0 * np.kron(wide[0] @ wide[1], term.second[0])
    np.testing.assert_allclose(formed.coefficient * formed.B @ formed.A, expected, atol=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_of_a_product_that_cancels_what_is_left_is_told_and_rounding_is_not(size: float) -> None:
    held = product(3, 7, (30, 40)).with_coefficient(size)
    formed = held.formed()
    away = Term(-formed.coefficient / 3.0, formed.B * 3.0, formed.A)
    assert norm((held, away)) == 0.0
    rng = np.random.default_rng(8)
    left = Term(size * 1e-9, rng.normal(size=(30, 1)), rng.normal(size=(1, 40)))
    expected = np.linalg.norm(left.coefficient * left.B @ left.A)
    assert norm((held, left, away)) == pytest.approx(expected, rel=1e-3)
    turn = rng.normal(size=(formed.rank, formed.rank)) + 4 * np.eye(formed.rank)
    turned = Term(-formed.coefficient, formed.B @ np.linalg.inv(turn), turn @ formed.A)
    assert norm((held, left, turned)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("term", [kron(), product(2, 1, (6, 5))], ids=["Kronecker", "Hadamard"])
def test_a_product_is_zero_where_one_of_its_sides_is(term: Kronecker | Hadamard) -> None:
    assert not is_zero(term)
    assert is_zero(term.with_coefficient(0.0))
    sides = {"first": term.first, "second": term.second}
    for name, side in sides.items():
        for at in range(len(side)):
            emptied = tuple(x * 0.0 if i == at else x for i, x in enumerate(side))
            assert is_zero(type(term)(1.0, **{**sides, name: emptied}))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_product_of_narrow_factors_is_worked_out_in_float64(dtype: str) -> None:
    wide = product(2, 4, (6, 5))
    (B1, A1), (B2, A2) = ((B.astype(dtype), A.astype(dtype)) for B, A in (wide.first, wide.second))
    term = Hadamard(0.5, (B1, A1), (B2, A2))
    first, second = B1.astype("f8") @ A1.astype("f8"), B2.astype("f8") @ A2.astype("f8")
    expected = 0.5 * first * second
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(term.times(x), expected @ x, rtol=1e-12)
    np.testing.assert_allclose(term.transposed_times(expected), expected.T @ expected, rtol=1e-12)
    np.testing.assert_allclose(term.rows(1, 4), expected[1:4], rtol=1e-12)
    np.testing.assert_allclose(dense((term.transposed(),)), expected.T, rtol=1e-5)
    assert norm((term,)) == pytest.approx(np.linalg.norm(expected), rel=1e-12)
    sizes = term.absolute()
    bound = 0.5 * (np.abs(B1) @ np.abs(A1)) * (np.abs(B2) @ np.abs(A2))
    np.testing.assert_allclose(sizes.rows(0, 6), bound, rtol=1e-2)
