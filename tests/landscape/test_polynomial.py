"""The polynomial of a domain's loss: found again from values and slopes, with honest errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.errors import BadInput
from superpose.landscape.basis import Basis
from superpose.landscape.polynomial import CROSS, FULL, Polynomial
from superpose.landscape.sample import Sample
from superpose.landscape.subsets import design_points


def sample_of(
    adapters: int, rows: int, seed: int, *, domain: int = 0, beyond: float = 0.0, noise: float = 0.3
) -> tuple[Sample, Basis, np.ndarray]:
    """Rows whose losses are known (plus a third power of the sum), measured at the design's points.

    Also the basis and the coefficients of what all rows have in common.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 40, rows)
    basis = Basis.of(adapters, [k for k in range(adapters) if k != domain], domain)
    right = rng.normal(size=len(basis))
    shift, tilt = (rng.normal(size=s, scale=noise) for s in (rows, (rows, adapters)))
    with_slope, plain = design_points(domain, adapters)
    points = np.array([*with_slope, *plain])
    values = (basis.features(points) @ right)[:, None] + shift + points @ tilt.T
    values += beyond * points.sum(axis=1)[:, None] ** 3
    slopes = np.einsum("c,pck->pk", right, basis.slopes(points))[:, None] + tilt
    slopes = slopes + 3 * beyond * points.sum(axis=1)[:, None, None] ** 2
    slopes[len(with_slope) :] = np.nan
    halves = (tokens[:, None] * slopes)[:, :, None, :] * np.array([0.25, 0.75])[:, None]
    return Sample(points, tokens * values, halves, tokens, ("a", "b")), basis, right


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 99))
def test_a_loss_of_that_shape_is_found_again(adapters: int, domain: int, seed: int) -> None:
    sample, basis, right = sample_of(adapters, 5, seed, domain=domain % adapters, noise=0.0)
    fitted = Polynomial.fit(sample, saturating=False)
    assert fitted.basis == basis
    assert fitted.residual < 1e-9
    np.testing.assert_allclose(fitted.coefficients, right, atol=1e-8)
    at = np.random.default_rng(seed).normal(size=adapters)
    assert fitted.value(at) == pytest.approx(float(basis.features(at[None])[0] @ right))
    np.testing.assert_allclose(fitted.gradient(at), right @ basis.slopes(at[None])[0], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 8), st.integers(0, 999))
def test_whatever_was_measured_the_polynomial_meets_every_value(
    adapters: int, domain: int, seed: int
) -> None:
    """Values and slopes of each row are drawn at random: no loss of any shape is behind them."""
    rng = np.random.default_rng(seed)
    with_slope, plain = design_points(domain % adapters, adapters)
    points, rows = np.array([*with_slope, *plain]), int(rng.integers(1, 9))
    slopes = rng.normal(size=(len(points), rows, 2, adapters), scale=5)
    slopes[len(with_slope) :] = np.nan
    tokens = rng.integers(1, 40, rows)
    nll = rng.normal(size=(len(points), rows), scale=9)
    sample = Sample(points, nll, slopes, tokens, ("a", "b"))
    fitted = Polynomial.fit(sample)
    np.testing.assert_allclose(fitted.predict(points).nll, sample.loss, rtol=0, atol=1e-7)
    fitted = Polynomial.fit(sample, saturating=False)
    np.testing.assert_allclose(fitted.predict(points).nll, sample.loss, rtol=0, atol=1e-9)
    met = fitted.basis.features(points) @ fitted.row_coefficients.T
    np.testing.assert_allclose(met, nll, rtol=0, atol=1e-9)


@pytest.mark.parametrize("adapters", [2, 3])
def test_with_two_and_three_adapters_the_slopes_have_what_the_values_leave(adapters: int) -> None:
    """No other polynomial through the values comes nearer to the slopes."""
    sample, *_ = sample_of(adapters, 7, 3, beyond=0.05)
    fitted = Polynomial.fit(sample)
    known = ~np.isnan(sample.slope).any(axis=1)
    at_slope = fitted.basis.slopes(sample.points[known])
    values = fitted.basis.features(sample.points)
    free = np.eye(len(fitted.basis)) - np.linalg.pinv(values) @ values

    def missed(coefficients: np.ndarray) -> float:
        found = np.einsum("c,pck->pk", coefficients, at_slope)
        return float(np.sum((found - sample.slope[known]) ** 2))

    least = missed(fitted.coefficients)
    assert least > 1e-3
    for bump in np.random.default_rng(0).normal(size=(50, len(free)), scale=0.02) @ free:
        assert missed(fitted.coefficients + bump) >= least


def test_values_that_contradict_each_other_are_refused() -> None:
    sample, *_ = sample_of(3, 4, 0)
    twice = sample.joined(
        Sample(
            sample.points[:1], sample.nll[:1], sample.gradient[:1], sample.tokens, sample.modules
        )
    )
    again = Polynomial.fit(twice)  # the same once more says nothing new
    np.testing.assert_allclose(again.predict(sample.points).nll, sample.loss, atol=1e-9)
    twice.nll[-1] += 0.01 * sample.tokens
    with pytest.raises(BadInput, match="contradict"):
        Polynomial.fit(twice)


def test_more_values_than_coefficients_are_met_as_least_squares_do() -> None:
    rng = np.random.default_rng(1)
    points, tokens = rng.random((30, 3)), np.array([3, 5])
    nll = rng.normal(size=(30, 2))
    sample = Sample(points, nll, np.full((30, 2, 1, 3), np.nan), tokens, ("a",))
    fitted = Polynomial.fit(sample, through=False)
    right = np.linalg.lstsq(fitted.basis.features(points), sample.loss, rcond=None)[0]
    np.testing.assert_allclose(fitted.coefficients, right, atol=1e-9)
    with pytest.raises(BadInput, match="contradict"):
        Polynomial.fit(sample)


def test_the_intervals_cover_as_often_as_they_say() -> None:
    inside = []
    for seed in range(400):
        sample, basis, right = sample_of(3, 40, seed)
        at = np.array([[1.0, 1.0, 0.0], [0.3, 0.2, 0.9]])
        found = Polynomial.fit(sample).predict(at)
        inside.append(np.abs(found.nll - basis.features(at) @ right) < 1.96 * found.sampling)
    assert 0.91 < np.mean(inside) < 0.98


def test_intervals_are_wider_where_the_loss_was_not_measured() -> None:
    fitted = Polynomial.fit(sample_of(4, 40, 0, beyond=0.01)[0])
    own, half, pair, triple, foreign, two = (
        fitted.predict(np.array([weights])).misfit[0]
        for weights in (
            *([1.0, 0, 0, 0], [0.5, 0, 0, 0], [1.0, 1, 0, 0], [1.0, 1, 1, 0]),
            *([0.0, 1, 0, 0], [0.0, 1, 1, 0]),
        )
    )
    assert own == pair == 0  # measured
    together = fitted.basis.terms.index((1, 2))
    cross = CROSS * fitted.coefficients[together]
    assert triple == pytest.approx(np.hypot(fitted.residual * 2**0.5, cross))
    assert half == pytest.approx(np.hypot(fitted.residual, fitted.bend))
    assert foreign > 2 * fitted.residual
    assert foreign == pytest.approx(np.hypot(fitted.residual, fitted.away / FULL))
    assert two == pytest.approx(np.hypot(triple, fitted.away))
    rest = fitted.among([1, 2]).predict(np.array([[1.0, 1.0]]))
    assert rest.misfit[0] == pytest.approx(two)


def test_a_difference_has_the_smaller_error_of_paired_rows() -> None:
    fitted = Polynomial.fit(sample_of(3, 40, 1)[0])
    own, both = np.array([1.0, 0.0, 0.0]), np.array([[1.0, 0.1, 0.0]])
    paired = fitted.predict(both, against=own)
    apart = fitted.predict(both)
    assert paired.sampling[0] < 0.5 * apart.sampling[0]
    assert paired.nll[0] == pytest.approx(apart.nll[0] - fitted.value(own))
    same = fitted.predict(own[None], against=own)
    assert (same.nll[0], same.error[0]) == (0.0, 0.0)


def test_what_is_no_quadratic_shows_as_misfit() -> None:
    straight = Polynomial.fit(sample_of(3, 10, 2, noise=0.0)[0])
    bent = Polynomial.fit(sample_of(3, 10, 2, noise=0.0, beyond=0.01)[0])
    assert straight.residual < 1e-9 < 1e-3 < bent.residual < 0.1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 99))
def test_slopes_are_the_derivatives_of_features(adapters: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis = Basis.of(adapters, cubic=range(1, adapters), own=0)
    at, step = rng.normal(size=(1, adapters)), 1e-6
    for k in range(adapters):
        ahead, behind = (basis.features(at + s * np.eye(adapters)[k]) for s in (step, -step))
        found = basis.slopes(at)[:, :, k]
        np.testing.assert_allclose(found, (ahead - behind) / (2 * step), atol=1e-6)


def test_what_three_others_do_together_is_left_out_where_no_point_tells_of_it() -> None:
    sample, *_ = sample_of(5, 6, 0, noise=0.0)
    part = Polynomial.fit(sample.among([0, 1, 2, 4]))
    assert part.basis.triples == ()
    at = np.array([0.7, 1.0, 0.5, 0.0])
    every = np.array([0.7, 1.0, 0.5, 0.0, 0.0])
    assert part.value(at) == pytest.approx(Polynomial.fit(sample).value(every))


def test_too_few_points_are_refused() -> None:
    sample, *_ = sample_of(3, 4, 0)
    few = Sample(
        sample.points[:2], sample.nll[:2], sample.gradient[:2], sample.tokens, sample.modules
    )
    with pytest.raises(BadInput, match="undetermined"):
        Polynomial.fit(few)


def test_the_points_cost_two_forward_passes_an_adapter_and_two_more() -> None:
    for adapters in range(2, 9):
        with_slope, plain = design_points(1, adapters)
        assert 2 * len(with_slope) + len(plain) == 2 + 2 * adapters
        basis = Basis.of(adapters)
        assert basis.features(np.array(with_slope)).shape == (adapters, len(basis))
        assert len(basis) == 1 + adapters + adapters * (adapters + 1) // 2


def test_the_loss_of_some_adapters_is_that_of_all_with_the_others_at_zero() -> None:
    rng = np.random.default_rng(5)
    points = np.vstack([np.eye(4), np.zeros((1, 4))])
    basis = Basis.of(4, cubic=[0, 2, 3], own=1)
    shares = rng.normal(size=(3, len(basis)))
    tokens = np.array([2, 3, 4])
    whole = Polynomial(basis, shares.sum(axis=0) / 9, shares, tokens, 0.1, points, (0, 2, 3), 0.2)
    part = whole.among([1, 3])
    for weights in rng.normal(size=(5, 2)):
        every = np.array([0.0, weights[0], 0.0, weights[1]])
        assert part.value(weights) == pytest.approx(whole.value(every))
        np.testing.assert_allclose(part.gradient(weights), whole.gradient(every)[[1, 3]])
        found, wanted = part.predict(weights[None]), whole.predict(every[None])
        assert found.error == pytest.approx(wanted.error)
    assert part.points.tolist() == [[1, 0], [0, 1], [0, 0]]
