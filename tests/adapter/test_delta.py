"""A delta holds terms: shapes are checked once, sums join, equal factors become one term."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.adapter import Delta
from superpose.errors import BadInput
from superpose.lowrank import Term, dense


def factors(rank=2, shape=(4, 3), seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, shape[1]))


def test_a_fresh_delta_is_scaling_times_b_times_a():
    B, A = factors()
    delta = Delta.of(B, A, 2.5)
    assert (delta.shape, delta.rank, delta.parameters) == ((4, 3), 2, 14)
    np.testing.assert_allclose(dense(delta.terms), 2.5 * B @ A)


def test_a_sum_joins_terms_and_shares_the_factors():
    x, y = Delta.of(*factors()), Delta.of(*factors(3, seed=1))
    both = x + y
    assert both.rank == 5
    assert both.terms[0].B is x.terms[0].B


def test_terms_of_the_same_factors_become_one():
    B, A = factors()
    both = Delta.of(B, A, 2.0) + Delta.of(B, A, 0.5)
    assert both.terms == (Term(2.5, B, A),)


def test_a_delta_without_terms_is_refused():
    with pytest.raises(BadInput, match="at least one term"):
        Delta(())


@pytest.mark.parametrize(
    ("b", "a"), [((4, 2), (3, 5)), ((4,), (1, 5)), ((4, 0), (0, 5)), ((4, 2, 1), (2, 5))]
)
def test_factors_that_do_not_multiply_are_refused(b, a):
    with pytest.raises(BadInput, match="are not the factors of a delta"):
        Delta.of(np.ones(b), np.ones(a))


def test_terms_of_two_shapes_are_refused():
    with pytest.raises(BadInput, match="differ in shape"):
        Delta((Term(1.0, *factors()), Term(1.0, *factors(shape=(3, 4)))))


@pytest.mark.parametrize("coefficient", [float("nan"), float("inf")])
def test_a_coefficient_that_is_no_number_is_refused(coefficient):
    with pytest.raises(BadInput, match="finite"):
        Delta.of(*factors(), coefficient)


def test_adding_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        Delta.of(*factors()) + 1
