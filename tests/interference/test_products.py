"""Overlaps of products that are never formed are those of the formed ones, or none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from superpose.interference import products
from superpose.lowrank import Hadamard, Kronecker, Term, Terms, input_basis, output_basis, overlap

OUT, IN = 12, 18


def factors(seed: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, rank])
    return rng.normal(size=(OUT, rank)), rng.normal(size=(rank, IN))


def kronecker(seed: int, first: tuple[int, int], rank: int) -> Kronecker:
    rng = np.random.default_rng([seed, rank])
    second = OUT // first[0], IN // first[1]
    low = rng.normal(size=(second[0], rank)), rng.normal(size=(rank, second[1]))
    return Kronecker(0.5, (rng.normal(size=(first[0], 1)), rng.normal(size=(1, first[1]))), low)


KRON = (kronecker(0, (2, 3), 2),)
SAME_SPLIT = (kronecker(1, (2, 3), 3),)
OTHER_SPLIT = (kronecker(2, (3, 2), 2),)
PLAIN = (Term(1.5, *factors(3, 3)),)
ZERO = (Term(0.0, *factors(4, 2)), kronecker(5, (2, 3), 1))
KNOWN = {"a": KRON, "b": SAME_SPLIT, "c": OTHER_SPLIT, "plain": PLAIN, "beside a zero": ZERO}


def formed(terms: Terms) -> Terms:
    return tuple(term.formed() for term in terms)


@pytest.mark.parametrize("chunk", [1, 2, 256])
@pytest.mark.parametrize(("one", "other"), list(itertools.combinations_with_replacement(KNOWN, 2)))
def test_overlaps_are_those_of_the_formed_products(
    one: str, other: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_CHUNK", chunk)
    x, y = KNOWN[one], KNOWN[other]
    found = products.side_overlaps([x, y])
    for side, basis in zip(found, (output_basis, input_basis), strict=True):
        Q, P = basis(formed(x)), basis(formed(y))
        assert side.ranks.tolist() == [[Q.shape[1], P.shape[1]]]
        expected = overlap(Q, P)
        np.testing.assert_allclose(side.values[0], [[1.0, expected], [expected, 1.0]], atol=1e-10)


def test_what_has_no_basis_has_no_overlap() -> None:
    product = Hadamard(1.0, factors(1, 2), factors(2, 2))
    zero = (KRON[0].with_coefficient(0.0),)
    for row in ([KRON, (product,)], [KRON, (*KRON, *OTHER_SPLIT)], [KRON, None]):
        for side in products.side_overlaps(row):
            assert math.isnan(side.values[0, 0, 1])
            assert math.isnan(side.values[0, 1, 0])
            assert math.isnan(side.values[0, 1, 1])
            assert side.values[0, 0, 0] == pytest.approx(1.0)
            assert side.ranks[0, 1] == 0
    empty = (Kronecker(1.0, (np.zeros((2, 3)),), zero[0].second),)
    outputs, _ = products.side_overlaps([KRON, empty])
    assert math.isnan(outputs.values[0, 0, 1])
    assert outputs.ranks[0, 1] == 0


def test_a_side_that_is_all_of_the_space_holds_every_other() -> None:
    rng = np.random.default_rng(9)
    whole = (Kronecker(1.0, (rng.normal(size=(2, 2)),), (rng.normal(size=(6, 9)),)),)
    outputs, _ = products.side_overlaps([whole, OTHER_SPLIT])
    assert outputs.values[0, 0, 1] == 1.0


def test_a_whole_matrix_has_the_directions_that_it_has_and_no_more() -> None:
    rng = np.random.default_rng(11)
    for first in ((2, 3), (3, 2)):
        low = np.outer(rng.normal(size=first[0]), rng.normal(size=first[1]))
        second = rng.normal(size=(OUT // first[0], 2)) @ rng.normal(size=(2, IN // first[1]))
        terms = (Kronecker(2.0, (low,), (second,)),)
        U, s, Vt = np.linalg.svd(np.kron(low, second))
        assert s[1] > 1e-3 > s[2]
        outputs, inputs = products.side_overlaps([terms, PLAIN])
        for side, true, plain in (
            (outputs, U[:, :2], output_basis(PLAIN)),
            (inputs, Vt[:2].T, input_basis(PLAIN)),
        ):
            assert side.ranks.tolist() == [[2, 3]]
            assert side.values[0, 0, 1] == pytest.approx(overlap(true, plain))


def test_modules_with_a_product_are_found() -> None:
    rows = [[PLAIN, None], [None, KRON], [None, None], [PLAIN, (*PLAIN, *KRON)]]
    assert products.unformed_modules(rows) == [1, 3]
