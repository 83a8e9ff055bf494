"""A tall matrix's QR is as exact by products as by columns, and by columns where that matters."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank import Term, singular_values, truncate
from superpose.lowrank.tall import tall_qr

ROUNDING = 1e-14


def dense(plain, basis):
    """Q itself, as a NumPy array."""
    columns = plain(basis.columns)
    return columns if basis.turn is None else columns @ plain(basis.turn)


@pytest.mark.parametrize("apart", [1.0, 0.2])
def test_columns_that_are_apart_are_orthonormalised_by_products_to_rounding(
    make, plain, rng, apart
):
    x = rng.standard_normal((400, 20))
    x = (x * apart + (1 - apart) * x[:, :1]) * np.logspace(-8, 8, 20)
    basis, R = tall_qr(make(x))
    Q, R = dense(plain, basis), plain(R)
    assert basis.turn is not None
    np.testing.assert_allclose(Q.T @ Q, np.eye(20), rtol=0, atol=ROUNDING)
    # Each column to its own rounding, whatever the others' size.
    missed = np.linalg.norm(Q @ R - x, axis=0) / np.linalg.norm(x, axis=0)
    assert missed.max() < ROUNDING
    assert not np.tril(R, -1).any()


@pytest.mark.parametrize(
    ("rows", "columns", "change"),
    [
        pytest.param(400, 20, lambda x: x + 1e3 * x[:, :1], id="nearly dependent"),
        pytest.param(400, 20, lambda x: x * (np.arange(20) > 0), id="a column of zeros"),
        pytest.param(400, 20, lambda x: x * np.logspace(-150, 0, 20), id="squares that vanish"),
        pytest.param(400, 3, lambda x: x, id="few columns"),
        pytest.param(60, 20, lambda x: x, id="not tall"),
        pytest.param(10, 20, lambda x: x, id="wide"),
    ],
)
def test_other_columns_are_orthonormalised_one_by_one(make, plain, rng, rows, columns, change):
    x = change(rng.standard_normal((rows, columns)))
    basis, R = tall_qr(make(x))
    assert basis.turn is None
    Q = plain(basis.columns)
    np.testing.assert_allclose(Q.T @ Q, np.eye(min(rows, columns)), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(Q @ plain(R), x, rtol=0, atol=ROUNDING * np.abs(x).max() * 20)


def test_a_basis_gives_the_columns_that_are_asked_for(make, plain, rng):
    basis, _ = tall_qr(make(rng.standard_normal((400, 20))))
    small = rng.standard_normal((20, 3))
    expected = dense(plain, basis) @ small
    np.testing.assert_allclose(plain(basis.times(make(small))), expected, rtol=0, atol=1e-13)


def test_what_is_left_of_terms_that_nearly_cancel_is_still_right(make, plain, rng):
    """A part in 1e9 is left of two rank-20 deltas; a Gram matrix alone would have lost it."""
    B, A = rng.standard_normal((300, 20)), rng.standard_normal((20, 200))
    moved = B + 1e-9 * rng.standard_normal(B.shape)
    terms = (Term(1.0, make(moved), make(A)), Term(-1.0, make(B), make(A)))
    left = (moved - B) @ A
    np.testing.assert_allclose(
        singular_values(terms)[:20], np.linalg.svd(left, compute_uv=False)[:20], rtol=1e-5
    )
    term = truncate(terms, 20)
    np.testing.assert_allclose(
        plain(term.B) @ plain(term.A), left, rtol=0, atol=1e-5 * np.abs(left).max()
    )
