"""SSR is the published formula in the space of the ranks, whatever the split of the factors."""

from __future__ import annotations

import numpy as np
import pytest
from tests.compose.battery import adapter, rebuilt
from tests.compose.test_regmean import INPUTS, KEYS, dense_of, statistics, three

from superpose.adapter import Adapter, Delta
from superpose.compose import RegMean, Ssr, merge
from superpose.data.input_statistics import InputStatistics
from superpose.lowrank import dense
from superpose.lowrank.second_moment import SecondMoment


def published(parts: list[Adapter], moments: list[np.ndarray], key: str) -> np.ndarray:
    """B (Q G^-1) A, of the sums over the rows of z = A x, without a ridge."""
    terms = [part[key].terms[0] for part in parts]
    B = np.hstack([t.coefficient * t.B for t in terms])
    A = np.vstack([t.A for t in terms])
    each = [A @ C @ A.T for C in moments]
    ends = np.cumsum([len(t.A) for t in terms])
    Q = np.vstack([s[end - len(t.A) : end] for s, end, t in zip(each, ends, terms, strict=True)])
    return np.asarray(B @ Q @ np.linalg.inv(sum(each)) @ A)


def test_it_is_the_published_formula() -> None:
    parts = [adapter(n, f"a{n}", rank) for n, rank in enumerate((3, 2, 1))]
    moments = tuple(statistics(n) for n in range(3))
    found = dense_of(merge(parts, method=Ssr(moments, 0.0)))
    for key in KEYS:
        right = published(parts, [m[key].whole for m in moments], key)
        np.testing.assert_allclose(found[key], right, rtol=1e-8, atol=1e-10)


def test_where_the_adapters_read_everything_it_is_regmean() -> None:
    parts = [adapter(n, f"a{n}", 5) for n in range(3)]
    moments = tuple(statistics(n) for n in range(3))
    for key, right in dense_of(merge(parts, method=RegMean(moments, 0.01))).items():
        found = dense_of(merge(parts, method=Ssr(moments, 0.01)))[key]
        np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-10)


def test_domains_that_do_not_reach_each_others_inputs_give_the_sum() -> None:
    """Zero cross-correlation, with no ridge: A_j C_k = 0 for j other than k."""
    halves = [np.eye(INPUTS)[:4], np.eye(INPUTS)[4:8]]
    rng, parts, moments = np.random.default_rng(0), [], []
    for n, half in enumerate(halves):
        A = rng.standard_normal((2, 4)) @ half
        deltas = {key: Delta.of(rng.standard_normal((6, 2)), A) for key in KEYS}
        parts.append(Adapter(deltas, f"a{n}", "org/tiny"))
        C = SecondMoment.of(half.T @ half * (n + 1.0))
        moments.append(InputStatistics(dict.fromkeys(KEYS, C), "org/tiny", 1, 1))
    found, right = dense_of(merge(parts, method=Ssr(tuple(moments), 0.0))), dense_of(merge(parts))
    for key in KEYS:
        np.testing.assert_allclose(found[key], right[key], atol=1e-10)


def test_an_adapter_that_alone_has_a_module_comes_back_there() -> None:
    parts, moments = three()
    alone = Adapter({KEYS[2]: parts[0][KEYS[2]]}, "alone", "org/tiny")
    found = dense_of(merge([alone, parts[1]], method=Ssr(moments[:2], 0.0)))
    np.testing.assert_allclose(found[KEYS[2]], dense(alone[KEYS[2]].terms), atol=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, None])
def test_the_ridge_does_not_know_how_the_factors_were_split(ridge: float | None) -> None:
    parts, moments = three()
    R = np.diag([100.0, 1.0, 0.01])
    first = rebuilt(parts[0], lambda B, A: (B @ np.linalg.inv(R), R @ A))
    one = dense_of(merge(parts, method=Ssr(moments, ridge)))
    other = dense_of(merge([first, *parts[1:]], method=Ssr(moments, ridge)))
    for key in KEYS:
        np.testing.assert_allclose(one[key], other[key], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", [RegMean, Ssr])
def test_a_shared_a_raises_the_ridge(kind: type[RegMean | Ssr]) -> None:
    first, rng = adapter(1, "math", 3), np.random.default_rng(9)
    drifted = {
        key: Delta.of(d.terms[0].B[::-1].copy(), d.terms[0].A + 0.01 * rng.standard_normal((3, 10)))
        for key, d in first.items()
    }
    second, moments = Adapter(drifted, "law", "org/tiny"), (statistics(1), statistics(2))
    apart = adapter(4, "art", 3)
    for other, ridge in ((second, 0.01), (apart, 1e-3)):
        found = dense_of(merge([first, other], method=kind(moments)))
        right = dense_of(merge([first, other], method=kind(moments, ridge)))
        for key in KEYS:
            np.testing.assert_allclose(found[key], right[key], atol=1e-12)


def test_an_a_of_zeros_reads_nothing_and_breaks_nothing() -> None:
    parts, moments = three()
    zero = rebuilt(parts[0], lambda B, A: (B, 0.0 * A))
    assert np.isfinite(merge([zero, parts[1]], method=Ssr(moments[:2])).norm())


def test_of_inputs_that_are_nothing_nothing_is_read() -> None:
    rows = [np.ones((2, 5)), np.eye(5)[:3]]
    found = Ssr(ridge=0.1).solved(rows, [SecondMoment.of(np.zeros((5, 5)))] * 2, 0.1)
    for A, given in zip(found, rows, strict=True):
        np.testing.assert_array_equal(A, np.zeros_like(given))
