"""What several others do to a domain saturates: found from the sum of all, met, and honest."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.landscape.basis import own_axis
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample
from superpose.landscape.saturation import saturated, unsaturated
from superpose.landscape.subsets import design_points


class Loss:
    """A domain whose others cost r, a quadratic of their weights and the own one's, seen as s(r).

    saturation: of s. Rows differ in level and in how much the others cost them.
    """

    def __init__(self, adapters: int, seed: int, saturation: float, rows: int = 12) -> None:
        rng = np.random.default_rng(seed)
        self.adapters, self.saturation, self.own = adapters, saturation, seed % adapters
        root = rng.uniform(0.2, 0.6, size=(adapters, adapters))
        self.second = root @ root.T / adapters
        self.second[self.own] = self.second[:, self.own] = 0
        self.first = rng.uniform(0.05, 0.2, size=adapters)
        self.first[self.own] = 0
        self.tokens = rng.integers(2, 9, rows)
        self.level = rng.normal(scale=0.1, size=rows)
        self.level -= self.level @ self.tokens / self.tokens.sum()

    def rest(self, points: np.ndarray) -> np.ndarray:
        return points @ self.first + np.einsum("pk,kj,pj->p", points, self.second, points) / 2

    def at(self, points: np.ndarray) -> np.ndarray:
        """Give nats an answer token, of all rows together: (P,)."""
        own = 2 + 1.5 * (1 + own_axis(points[:, self.own]))
        return own + saturated(self.rest(points), self.saturation)[0]

    def sample(self) -> Sample:
        with_slope, plain = design_points(self.own, self.adapters)
        points = np.array([*with_slope, *plain])
        slopes = saturated(self.rest(points), self.saturation)[1][:, None] * (
            self.first + points @ self.second
        )
        slopes[len(with_slope) :] = np.nan
        nll = (self.at(points)[:, None] + self.level) * self.tokens
        gradient = slopes[:, None, None, :] * self.tokens[:, None, None]
        return Sample(points, nll, gradient, self.tokens, ("all",))


def beside(loss: Loss, size: int) -> np.ndarray:
    """Give every sum of so many others with the own adapter."""
    others = [k for k in range(loss.adapters) if k != loss.own]
    chosen = combinations(others, size)
    return np.array([np.eye(loss.adapters)[[loss.own, *each]].sum(axis=0) for each in chosen])


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 7), st.integers(0, 99), st.floats(0.1, 3.0))
def test_a_loss_that_saturates_is_found_again_and_foretold(
    adapters: int, seed: int, saturation: float
) -> None:
    loss = Loss(adapters, seed, saturation)
    fitted = Polynomial.fit(loss.sample())
    assert fitted.saturation == pytest.approx(saturation, rel=1e-6)
    for size in (2, 3):
        points = beside(loss, size)
        np.testing.assert_allclose(fitted.predict(points).nll, loss.at(points), atol=1e-7)
    weights = np.random.default_rng(seed).uniform(0, 1.5, (5, adapters))
    np.testing.assert_allclose(fitted.predict(weights).nll, loss.at(weights), atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 7), st.integers(0, 99), st.floats(0.1, 3.0))
def test_what_is_measured_is_met_and_slopes_are_those_of_the_losses(
    adapters: int, seed: int, saturation: float
) -> None:
    loss = Loss(adapters, seed, saturation)
    sample = loss.sample()
    fitted = Polynomial.fit(sample)
    np.testing.assert_allclose(fitted.predict(sample.points).nll, sample.loss, atol=1e-9)
    at = np.random.default_rng(seed).uniform(0, 1.5, adapters)
    step = 1e-5 * np.eye(adapters)
    slopes = [(fitted.value(at + one) - fitted.value(at - one)) / 2e-5 for one in step]
    np.testing.assert_allclose(fitted.gradient(at), slopes, atol=1e-7)


def test_the_loss_of_some_is_that_of_all_with_the_others_at_zero() -> None:
    """With the own adapter among them and without."""
    loss = Loss(6, 3, 0.8)
    fitted = Polynomial.fit(loss.sample())
    rng = np.random.default_rng(0)
    for chosen in ([0, 2, 3, 5], [0, 1, 4]):
        weights = np.zeros((7, 6))
        weights[:, chosen] = rng.uniform(0, 1.5, (7, len(chosen)))
        some = fitted.among(chosen).predict(weights[:, chosen])
        every = fitted.predict(weights)
        np.testing.assert_allclose(some.nll, every.nll, atol=1e-12)
        np.testing.assert_allclose(some.sampling, every.sampling, atol=1e-12)


@pytest.mark.parametrize("saturation", [0.0, -0.4])
def test_where_losses_grow_as_the_pairs_say_or_more_nothing_saturates(saturation: float) -> None:
    """Then the sum of all bends one coefficient of triple products, as it did before."""
    loss = Loss(5, 1, 0.0)
    sample = loss.sample()
    whole = int(np.flatnonzero(sample.points.sum(axis=1) == 5)[0])
    sample.nll[whole] -= saturation * loss.tokens
    fitted, plain = Polynomial.fit(sample), Polynomial.fit(sample, saturating=False)
    assert fitted.saturation == 0
    assert fitted.basis.triples
    np.testing.assert_array_equal(fitted.coefficients, plain.coefficients)


def test_with_three_adapters_the_sum_of_all_is_a_pair_of_others() -> None:
    loss = Loss(3, 0, 1.0)
    assert Polynomial.fit(loss.sample()).saturation == 0


def test_rows_have_their_shares_in_what_would_not_saturate() -> None:
    """The mean is turned exactly; a row's change moves it as the mean's derivative says."""
    loss = Loss(5, 2, 0.7)
    sample = loss.sample()
    turned = unsaturated(sample, loss.own, 0.7)
    own = sample.at(np.eye(5)[loss.own])
    assert own is not None
    pairs = sample.points.sum(axis=1) == 2
    np.testing.assert_allclose(
        turned.loss[pairs] - turned.loss[own], loss.rest(sample.points[pairs]), atol=1e-12
    )
    expected = loss.first + sample.points[pairs] @ loss.second
    np.testing.assert_allclose(turned.slope[pairs], expected, atol=1e-12)
    moved = loss.sample()
    moved.nll[pairs, 3] += 1e-5
    after = unsaturated(moved, loss.own, 0.7)
    by_rows = (after.loss - turned.loss)[pairs] / 1e-5
    growth = 1 + 0.7 * loss.rest(sample.points[pairs])
    np.testing.assert_allclose(by_rows, growth / loss.tokens.sum(), rtol=1e-4)
    at_first = turned.nll[pairs, 3] + growth * 1e-5
    np.testing.assert_allclose(after.nll[pairs, 3], at_first, rtol=1e-6)


def test_saturation_starts_with_a_slope_of_one_and_lowers_nothing_below_zero() -> None:
    rest = np.array([-1.0, 0.0, 1e-9, 1.0, 10.0])
    seen, slope = saturated(rest, 0.5)
    np.testing.assert_allclose(seen, [-1, 0, 1e-9, np.log1p(0.5) / 0.5, np.log1p(5) / 0.5])
    np.testing.assert_allclose(slope, [1, 1, 1, 1 / 1.5, 1 / 6])
    assert saturated(rest, 0.0)[0] is rest
