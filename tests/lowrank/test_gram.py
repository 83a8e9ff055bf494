"""Inner products from the factors are the inner products of the dense deltas."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank import Term, gram, grams, inner, inner_products, norm, side_grams


def dense_gram(oracle, deltas):
    flat = [np.zeros(1) if d is None else oracle(d).ravel() for d in deltas]
    return np.array([[0.0 if x.size != y.size else x @ y for y in flat] for x in flat])


def test_inner_is_the_frobenius_inner_product(draw, oracle):
    x, y = draw(3, 2), draw(4)
    assert inner(x, y) == pytest.approx(np.sum(oracle(x) * oracle(y)), rel=1e-12)


def test_norm_is_the_frobenius_norm(draw, oracle):
    x = draw(3, 2)
    assert norm(x) == pytest.approx(np.linalg.norm(oracle(x)), rel=1e-12)


def test_the_norm_of_a_tiny_difference_is_not_lost(draw, oracle):
    ((c, B, A),) = draw(3, dtype="float64")
    difference = (Term(c, B, A), Term(-c, B * (1 + 1e-6), A))
    assert norm(difference) == pytest.approx(np.linalg.norm(oracle(difference)), rel=1e-3)


@pytest.mark.parametrize("share", [1e-3, 1e-7, 1e-11])
def test_the_norm_of_what_is_left_of_cancelling_terms_is_right(draw, make, rng, share):
    """Gram matrices alone lose differences below 1e-8: the square root of float64's precision."""
    ((c, B, A),) = draw(3, dtype="float64")
    R = rng.standard_normal((3, 3)) + 4 * np.eye(3)
    rewritten = Term(-c, B @ make(R), make(np.linalg.inv(R)) @ A)
    ((_, b, a),) = draw(1, dtype="float64")
    left = Term(share, b, a)
    assert norm((Term(c, B, A), left, rewritten)) == pytest.approx(norm((left,)), rel=1e-3)


def test_a_delta_minus_itself_has_norm_zero_however_it_is_written(draw, make, rng):
    ((c, B, A),) = draw(3, dtype="float64")
    assert norm((Term(c, B, A), Term(-c, B + 0, A + 0))) == 0.0
    assert norm((Term(c, B, A), Term(-c / 3, B * 3, A))) == 0.0


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_norm_of_a_delta_whose_square_float64_cannot_hold_is_right(draw, oracle, size):
    (unit,) = draw(3, dtype="float64")
    expected = size * np.linalg.norm(oracle((unit,)))
    assert norm((unit._replace(B=unit.B * size),)) == pytest.approx(expected, rel=1e-12)


def test_gram_holds_every_pair_at_once(draw, oracle):
    deltas = [draw(3), draw(1, 2), draw(4)]
    np.testing.assert_allclose(gram(deltas), dense_gram(oracle, deltas), rtol=1e-11, atol=1e-11)


def test_a_missing_delta_is_a_zero_row_and_column(draw, oracle):
    deltas = [draw(3), None, draw(2)]
    result = gram(deltas)
    assert not result[1].any()
    assert not result[:, 1].any()
    np.testing.assert_allclose(result, dense_gram(oracle, deltas), rtol=1e-11)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_modules_of_many_shapes_and_ranks_keep_their_places(draw, oracle, precision, tolerance):
    modules = [
        [draw(2), draw(3)],
        [draw(2, shape=(5, 40)), None],
        [draw(2), draw(3)],
        [None, None],
        [draw(1, 1, shape=(300, 40)), draw(3, shape=(300, 40))],
        [draw(3), draw(2)],
    ]
    expected = np.stack([dense_gram(oracle, deltas) for deltas in modules])
    result = grams(modules, precision)
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * 100)


def test_a_stack_cut_into_chunks_gives_the_same(draw, monkeypatch):
    modules = [[draw(2), draw(3)] for _ in range(7)]
    whole = grams(modules)
    monkeypatch.setattr(inner_products, "_CHUNK", 300)
    np.testing.assert_allclose(grams(modules), whole, rtol=1e-12)


def test_modules_of_one_layout_are_one_group(draw):
    modules = [[draw(2), draw(3)], [draw(2, shape=(5, 4)), None], [draw(2), draw(3)]]
    groups = list(side_grams(modules))
    assert [group.modules.tolist() for group in groups] == [[0, 2], [1]]
    assert groups[0].ranks == (2, 3)
    assert groups[0].output.shape == (2, 5, 5)
    assert groups[1].ranks == (2, 0)


def test_inner_products_do_not_change_when_the_factors_are_rewritten(draw, make, rng):
    """A -> RA, B -> B R^-1 is the same delta."""
    ((c, B, A),) = x = draw(4, dtype="float64")
    y = draw(3, dtype="float64")
    R = rng.standard_normal((4, 4)) + 4 * np.eye(4)
    rewritten = (Term(c, B @ make(np.linalg.inv(R)), make(R) @ A),)
    assert inner(rewritten, y) == pytest.approx(inner(x, y), rel=1e-10)
    assert norm(rewritten) == pytest.approx(norm(x), rel=1e-10)


def test_deltas_of_two_shapes_have_no_inner_product(draw):
    with pytest.raises(ValueError, match="differ in shape"):
        inner(draw(2, shape=(3, 4)), draw(2, shape=(4, 3)))


def test_no_modules_give_no_products():
    assert grams([]).shape == (0, 0, 0)


def test_factors_of_float64_stay_so_where_less_would_do(draw, oracle):
    modules = [[draw(2, dtype="float64"), draw(3, dtype="float64")] for _ in range(2)]
    expected = np.stack([dense_gram(oracle, deltas) for deltas in modules])
    np.testing.assert_allclose(grams(modules, "float32"), expected, rtol=1e-11)
