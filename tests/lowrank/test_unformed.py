"""Kronecker and entrywise products as terms: every figure is that of the dense product."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.errors import Refused
from superpose.lowrank import (
    Hadamard,
    Kronecker,
    Term,
    Terms,
    Unformed,
    dense,
    gram,
    inner,
    norm,
    operator,
    singular_values,
    truncate,
    truncated,
)

SIZES = st.integers(1, 5)
KINDS = st.sampled_from(["whole", "first", "second", "both"])
OUT, IN = 12, 18
SPLITS = st.sampled_from([((2, 3), (6, 6)), ((4, 9), (3, 2)), ((12, 1), (1, 18)), ((3, 2), (4, 9))])


def random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def side(rows: int, columns: int, factored: bool, seed: int) -> tuple[np.ndarray, ...]:
    if not factored:
        return (random(rows, columns, seed=seed),)
    return random(rows, 2, seed=seed), random(2, columns, seed=seed + 1)


@st.composite
def kronecker(draw: st.DrawFn) -> Kronecker:
    (a, c), (b, d) = draw(SPLITS)
    kind, seed = draw(KINDS), draw(st.integers(0, 99))
    first = side(a, c, kind in ("first", "both"), seed)
    second = side(b, d, kind in ("second", "both"), seed + 7)
    return Kronecker(draw(st.sampled_from([1.0, -0.5, 3.0])), first, second)


@st.composite
def hadamard(draw: st.DrawFn) -> Hadamard:
    r, s, seed = draw(SIZES), draw(SIZES), draw(st.integers(0, 99))
    first = random(OUT, r, seed=seed), random(r, IN, seed=seed + 1)
    second = random(OUT, s, seed=seed + 2), random(s, IN, seed=seed + 3)
    return Hadamard(draw(st.sampled_from([1.0, -2.0])), first, second)


@st.composite
def plain(draw: st.DrawFn) -> Term:
    seed = draw(st.integers(0, 99))
    return Term(0.5, random(OUT, 3, seed=seed), random(3, IN, seed=seed + 1))


TERMS = st.one_of(kronecker(), hadamard(), plain())
SUMS = st.lists(TERMS, min_size=1, max_size=3).map(tuple)


def of_entries(term: Unformed | Term) -> np.ndarray:
    """The product as its definition says, in float64."""
    if isinstance(term, Kronecker):
        sides = (x[0] if len(x) == 1 else x[0] @ x[1] for x in (term.first, term.second))
        return term.coefficient * np.kron(*sides)
    if isinstance(term, Hadamard):
        return term.coefficient * (
            (term.first[0] @ term.first[1]) * (term.second[0] @ term.second[1])
        )
    return term.coefficient * (term.B @ term.A)


def oracle(terms: Terms) -> np.ndarray:
    return sum(map(of_entries, terms))  # type: ignore[return-value]


@given(TERMS)
def test_a_product_gives_its_factors_as_a_plain_term_does(term: Unformed | Term) -> None:
    assert (term.B.shape, term.A.shape) == ((OUT, term.rank), (term.rank, IN))
    np.testing.assert_allclose(term.coefficient * (term.B @ term.A), of_entries(term), atol=1e-10)


@given(st.one_of(kronecker(), hadamard()), st.integers(0, OUT - 1))
def test_a_product_acts_on_vectors_as_its_entries_do_and_as_its_factors_do(
    term: Unformed, begin: int
) -> None:
    expected = of_entries(term)
    x, y = random(IN, 4, seed=1), random(OUT, 4, seed=2)
    np.testing.assert_allclose(term.times(x), expected @ x, atol=1e-10)
    np.testing.assert_allclose(term.transposed_times(y), expected.T @ y, atol=1e-10)
    np.testing.assert_allclose(term.rows(begin, OUT), expected[begin:], atol=1e-10)
    np.testing.assert_allclose(dense((term,)), expected, atol=1e-10)
    np.testing.assert_allclose(of_entries(term.transposed()), expected.T, atol=1e-10)
    np.testing.assert_allclose(of_entries(term.wide()), expected, atol=1e-10)
    assert (of_entries(term.absolute()) >= np.abs(expected) - 1e-10).all()
    assert term.shape == expected.shape
    assert term.formed().rank == term.rank >= np.linalg.matrix_rank(expected)


@given(SUMS, SUMS)
def test_inner_products_and_norms_are_those_of_the_entries(x: Terms, y: Terms) -> None:
    left, right = oracle(x), oracle(y)
    size = np.linalg.norm(left) * np.linalg.norm(right)
    assert inner(x, y) == pytest.approx(np.vdot(left, right), abs=1e-10 * (1 + size))
    assert norm(x) == pytest.approx(np.linalg.norm(left), rel=1e-7, abs=1e-11)
    assert gram((x, None, y))[0, 2] == pytest.approx(inner(x, y), rel=1e-9, abs=1e-9)


@given(st.one_of(kronecker(), hadamard()), st.sampled_from([0.0, 1e-9, 1e-3]))
def test_the_norm_of_nearly_cancelling_terms_is_right(term: Unformed, left: float) -> None:
    other = Term(1.0, *(np.array(x) for x in term.formed()[1:]))
    terms = (term, other.with_coefficient(-term.coefficient * (1.0 - left)))
    size = np.linalg.norm(of_entries(term))
    assert norm(terms) == pytest.approx(left * size, rel=1e-5, abs=1e-13 * size)


@given(st.integers(0, 99), st.sampled_from([0.0, 1e-12, 1e-6, 1.0]))
def test_the_norm_of_a_small_difference_of_products_of_one_split_is_good_to_its_digits(
    seed: int, size: float
) -> None:
    """W1 (x) (W2 + E) - W1 (x) W2 = W1 (x) E, although squares of the terms have lost it."""
    W1, W2, E = random(3, 4, seed=seed), random(5, 6, seed=seed), size * random(5, 6, seed=seed + 1)
    W3 = W2 + E
    terms = (Kronecker(1.0, (W1,), (W3,)), Kronecker(-1.0, (W1,), (W2,)))
    expected = np.linalg.norm(W1) * np.linalg.norm(W3 - W2)
    scale = np.linalg.norm(W1) * np.linalg.norm(W2)
    assert norm(terms) == pytest.approx(expected, rel=1e-6, abs=1e-14 * scale)


@given(kronecker(), st.integers(1, 12))
def test_a_kronecker_products_best_approximation_is_that_of_its_entries(
    term: Kronecker, rank: int
) -> None:
    s = np.linalg.svd(of_entries(term), compute_uv=False)
    found = truncated((term,), rank)
    assert found.whole == pytest.approx(np.linalg.norm(s))
    assert found.kept == pytest.approx(np.linalg.norm(s[:rank]))
    lost = np.linalg.norm(dense((found.term,)) - of_entries(term))
    assert lost == pytest.approx(np.linalg.norm(s[rank:]), abs=1e-7 * s[0])
    assert found.exact == (not (s[rank:] > 1e-14 * s[0]).any())
    np.testing.assert_allclose(singular_values((term,))[: len(s)], s[: term.rank], atol=1e-9 * s[0])


@settings(max_examples=30, deadline=None)
@given(SUMS, st.integers(1, 12))
def test_a_projected_sum_keeps_the_energy_that_it_says_and_nearly_the_best(
    terms: Terms, rank: int
) -> None:
    """Against a dense SVD in float64; the projection is forced upon these small sums."""
    expected = oracle(terms)
    s = np.linalg.svd(expected, compute_uv=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["superpose.lowrank.truncation"], "MOST_OF_ONE", 0)
        found = truncated(terms, rank)
    lost = np.linalg.norm(expected - dense((found.term,)))
    size = max(float(s[0]), 1e-6)
    assert found.whole == pytest.approx(np.linalg.norm(s), rel=1e-6, abs=1e-9)
    assert lost**2 == pytest.approx(found.whole**2 - found.kept**2, abs=1e-9 * size**2)
    assert lost <= np.linalg.norm(s[rank:]) * (1 + 1e-6) + 1e-6 * size


def flat(seed: int, high: int = 16, wide: int = 24) -> Kronecker:
    """A product of sides of Gaussian entries: a spectrum without a gap."""
    return Kronecker(1.0, (random(16, 16, seed=seed),), (random(high, wide, seed=seed),))


def test_a_sum_with_a_flat_spectrum_is_within_a_thousandth_of_the_best_energy() -> None:
    """256 x 384: large enough for the projection to matter, small enough for a dense SVD."""
    terms = (flat(0), flat(1).with_coefficient(0.5))
    s = np.linalg.svd(oracle(terms), compute_uv=False)
    found = truncated(terms, 16)
    best = np.linalg.norm(s[:16])
    assert 0.999 * best <= found.kept <= best * (1 + 1e-12)
    assert not found.exact


def test_a_huge_product_is_measured_and_approximated_and_its_factors_are_refused() -> None:
    """4 million rows and columns: 128 TB as a matrix."""
    terms = (Kronecker(1.0, (random(2000, 2000, seed=0),), (random(2000, 2000, seed=1),)),)
    sides = [np.linalg.norm(random(2000, 2000, seed=seed)) for seed in (0, 1)]
    assert norm(terms) == pytest.approx(sides[0] * sides[1])
    with pytest.raises(Refused, match=r"256,000,000\.0 GB|as factors of rank 4,000,000"):
        dense(terms)


def test_rows_of_chunks_make_the_norm_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = (flat(0), truncate((flat(1),), 3).with_coefficient(-1.0))
    expected = np.linalg.norm(oracle(terms))
    for chunk in (1, 1000, 1 << 22):
        monkeypatch.setattr(operator, "_CHUNK", chunk)
        monkeypatch.setattr(operator, "CANCELLING", 1e9)
        assert norm(terms) == pytest.approx(expected)
