"""RegMean in the space of the factors is the regression's solution, of moments or sketches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.compose.battery import adapter, rebuilt

import superpose
from superpose.adapter import Adapter, Delta
from superpose.compose import FROM_DATA, FineWeights, RegMean, RegMeanTuned, merge
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput, BadSetting, Refused, SuperposeWarning
from superpose.files.file_format import INPUT_STATISTICS as FILE
from superpose.files.tensors import open_tensors, write_tensors
from superpose.lowrank import dense
from superpose.lowrank.second_moment import SecondMoment, regressed

MODULES = ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj")
KEYS = tuple(f"model.layers.0.{module}" for module in MODULES)
INPUTS = 10


def moment(seed: int, tokens: int = 40) -> np.ndarray:
    """The second moment of inputs whose directions differ much in size."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((INPUTS, INPUTS)) @ rng.standard_normal((INPUTS, tokens))
    return np.asarray(X @ X.T / tokens)


def statistics(seed: int, keys: Sequence[str] = KEYS) -> InputStatistics:
    moments = {key: SecondMoment.of(moment(100 * seed + n)) for n, key in enumerate(keys)}
    return InputStatistics(moments, "org/tiny", 8, 40)


def three() -> tuple[list[Adapter], tuple[InputStatistics, ...]]:
    """Three adapters of different ranks and modules, and their domains' statistics."""
    parts = [adapter(1, "math", 3), adapter(2, "law", 2, MODULES[:2]), adapter(3, "art", 1)]
    return parts, tuple(statistics(n) for n in range(3))


def dense_of(found: Adapter) -> dict[str, np.ndarray]:
    return {key: np.asarray(dense(delta.terms), np.float64) for key, delta in found.items()}


def solution(
    parts: Sequence[Adapter], weights: Sequence[float], moments: Sequence[InputStatistics],
    ridge: float, key: str,
) -> np.ndarray:  # fmt: skip
    """The minimiser, written from the normal equations with dense matrices."""
    deltas = [
        w * np.asarray(dense(p[key].terms), np.float64) if key in p else np.zeros((1, INPUTS))
        for p, w in zip(parts, weights, strict=True)
    ]
    C = [m[key].whole for m in moments]
    total = sum(C) + ridge * sum(np.trace(c) for c in C) / INPUTS * np.eye(INPUTS)
    return np.asarray(sum(d @ c for d, c in zip(deltas, C, strict=True)) @ np.linalg.inv(total))


WEIGHTS = (1.0, -0.5, 0.3)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.1])
def test_it_is_the_minimiser_of_the_dense_regression(ridge: float) -> None:
    parts, moments = three()
    found = dense_of(merge(parts, WEIGHTS, RegMean(moments, ridge)))
    for key in KEYS:
        expected = solution(parts, WEIGHTS, moments, ridge, key)
        np.testing.assert_allclose(found[key], expected, rtol=1e-8, atol=1e-10)


def test_the_gradient_of_its_objective_is_zero() -> None:
    """sum_k (dW - dW_k) C_k = 0, where there is no ridge: no delta does better."""
    parts, moments = three()
    found = dense_of(merge(parts, method=RegMean(moments, 0.0)))
    for key in KEYS:
        slope = sum(
            (found[key] - (dense(p[key].terms) if key in p else 0.0)) @ m[key].whole
            for p, m in zip(parts, moments, strict=True)
        )
        assert np.abs(slope).max() < 1e-9


def test_a_rank_above_the_exact_sums_is_refused() -> None:
    parts, moments = three()
    with pytest.raises(BadSetting, match="rank is 7, and `regmean` of these adapters has at most"):
        merge(parts, WEIGHTS, RegMean(moments, rank=7))
    assert merge(parts, WEIGHTS, RegMean(moments, rank=6)).made.energy_kept is None


def test_the_bs_stay_and_the_rank_is_the_exact_sums() -> None:
    parts, moments = three()
    found = merge(parts, WEIGHTS, RegMean(moments))
    assert {key: delta.rank for key, delta in found.items()} == {
        key: delta.rank for key, delta in merge(parts, WEIGHTS).items()
    }
    for key, delta in found.items():
        spaces = [np.asarray(p[key].terms[0].B) for p in parts if key in p]
        B, written = np.hstack(spaces), np.hstack([term.B for term in delta.terms])
        assert np.linalg.matrix_rank(np.hstack([B, written])) == np.linalg.matrix_rank(B)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_another_split_of_the_same_delta_gives_the_same(seed: int) -> None:
    parts, moments = three()
    R = np.random.default_rng(seed).standard_normal((3, 3)) + 3 * np.eye(3)
    first = rebuilt(parts[0], lambda B, A: (B @ R, np.linalg.inv(R) @ A))
    one = dense_of(merge(parts, WEIGHTS, RegMean(moments)))
    other = dense_of(merge([first, *parts[1:]], WEIGHTS, RegMean(moments)))
    for key in KEYS:
        np.testing.assert_allclose(one[key], other[key], rtol=1e-7, atol=1e-9)


def test_equal_moments_give_the_average_and_one_adapter_comes_back() -> None:
    parts, _ = three()
    same = statistics(7)
    found = dense_of(merge(parts[::2], method=RegMean((same, same), 0.0)))
    average = dense_of(merge(parts[::2], method=superpose.compose.Average()))
    alone = dense_of(merge(parts[:1], method=RegMean((same,), 0.0)))
    for key in KEYS:
        np.testing.assert_allclose(found[key], average[key], atol=1e-10)
        np.testing.assert_allclose(alone[key], dense(parts[0][key].terms), atol=1e-10)


def test_the_order_of_the_adapters_does_not_count() -> None:
    parts, moments = three()
    one = dense_of(merge(parts, WEIGHTS, RegMean(moments)))
    other = dense_of(merge(parts[::-1], WEIGHTS[::-1], RegMean(moments[::-1])))
    for key in KEYS:
        np.testing.assert_allclose(one[key], other[key], atol=1e-10)


def test_a_shared_a_is_tamed_by_the_ridge() -> None:
    """Two adapters of one A whose domains look alike."""
    first, rng = adapter(1, "math", 3), np.random.default_rng(9)
    second = Adapter(
        {
            key: Delta.of(rng.standard_normal(d.terms[0].B.shape), d.terms[0].A)
            for key, d in first.items()
        },
        "law", "org/tiny",
    )  # fmt: skip
    moments = (statistics(1), statistics(1))
    found = merge([first, second], method=RegMean(moments))
    assert found.norm() < first.norm() + second.norm()


@pytest.mark.parametrize("kept", [2, 5, 9])
def test_sketches_are_summed_and_inverted_without_a_square_matrix(kept: int) -> None:
    rng = np.random.default_rng(kept)
    whole = [SecondMoment.of(moment(n)) for n in range(3)]
    sketches = [m.sketched(kept) for m in whole]
    rows = [rng.standard_normal((2, INPUTS)) for _ in range(3)]
    dense_sketches = [SecondMoment.of(m.times(np.eye(INPUTS))) for m in sketches]
    for x, y in zip(
        regressed(rows, sketches, 1e-2), regressed(rows, dense_sketches, 1e-2), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)
    for sketch, m in zip(sketches, whole, strict=True):
        assert sketch.trace == pytest.approx(m.trace)
        values = np.linalg.eigvalsh(m.whole)[::-1]
        np.testing.assert_allclose(sketch.values, values[:kept], rtol=1e-10)


def test_all_directions_are_the_whole_moment() -> None:
    whole = SecondMoment.of(moment(3))
    for directions in (INPUTS - 1, INPUTS, INPUTS + 5):
        found = whole.sketched(directions)
        np.testing.assert_allclose(found.times(np.eye(INPUTS)), whole.whole, atol=1e-10)


def test_few_directions_of_many_are_the_strongest_ones() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 500)) * np.geomspace(10.0, 0.1, 200)[:, None]
    whole = SecondMoment.of(X @ X.T / 500)
    found = whole.sketched(12)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(whole.whole)[::-1][:12], rtol=1e-6)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(12), atol=1e-10)
    assert found.trace == pytest.approx(whole.trace)


def test_what_is_written_says_how_it_was_made(tmp_path: Path) -> None:
    parts, moments = three()
    superpose.save(merge(parts, method=RegMean(moments, 0.01, rank=4)), tmp_path / "both")
    made = superpose.load(tmp_path / "both").made
    assert (made.method, dict(made.settings)) == ("regmean", {"ridge": 0.01, "rank": 4})
    assert made.exact is False
    assert made.energy_kept is not None
    assert 0.5 < made.energy_kept < 1.0
    assert FROM_DATA["regmean"] is RegMean


def test_a_module_that_one_domain_does_not_tell_of_is_merged_by_the_others() -> None:
    parts, moments = three()
    known = statistics(1, KEYS[:2])  # law, which has no up_proj
    found = dense_of(merge(parts, method=RegMean((moments[0], known, moments[2]), 0.0)))
    expected = solution([parts[0], parts[2]], (1.0, 1.0), [moments[0], moments[2]], 0.0, KEYS[2])
    np.testing.assert_allclose(found[KEYS[2]], expected, atol=1e-9)


def test_bad_input_is_named() -> None:
    parts, moments = three()
    with pytest.raises(BadSetting, match="3 adapters and the input statistics of 2 domains"):
        merge(parts, method=RegMean(moments[:2]))
    with pytest.raises(BadSetting, match="no ridge"):
        RegMean(moments, -1.0)
    with pytest.raises(BadInput, match=r"math's domain do not tell of `.*up_proj`"):
        merge(parts, method=RegMean((statistics(0, KEYS[:2]), *moments[1:])))
    other = SecondMoment.of(np.eye(7))
    with pytest.raises(BadInput, match="has 10 inputs, and statistics of 7"):
        merge(parts, method=RegMean((replace(moments[0], moments=dict.fromkeys(KEYS, other)),
                                     *moments[1:])))  # fmt: skip
    bias = Adapter({KEYS[0]: replace(parts[0][KEYS[0]], place=_place())}, "conv", "org/tiny")
    with pytest.raises(Refused, match="inputs of linear layers"):
        merge([bias], method=RegMean(moments[:1]))
    zero = replace(moments[0], moments=dict.fromkeys(KEYS, SecondMoment.of(np.zeros((10, 10)))))
    with pytest.raises(BadInput, match="all inputs of this module are zero"):
        merge(parts[:1], method=RegMean((zero,)))


def _place() -> superpose.adapter.Place:
    from superpose.adapter import Place

    return Place("bias")


def test_a_singular_moment_is_said_and_met_with_a_small_ridge() -> None:
    few = InputStatistics(
        {key: SecondMoment.of(moment(n, tokens=3)) for n, key in enumerate(KEYS)}, None, 1, 3
    )
    few = replace(few, moments={k: SecondMoment.of(np.diag([1.0] * 3 + [0.0] * 7)) for k in KEYS})
    parts, _ = three()
    with pytest.warns(SuperposeWarning) as said:
        found = merge(parts[:1], method=RegMean((few,), 0.0))
    assert [str(each.message) for each in said] == [
        f"the inputs' second moment is singular in `{KEYS[0]}` and 2 other modules; the ridge "
        "there is raised to 1e-06"
    ]
    right = dense_of(merge(parts[:1], method=RegMean((few,), 1e-6)))
    for key, delta in dense_of(found).items():
        np.testing.assert_array_equal(delta, right[key])


def test_the_ridge_is_raised_until_it_serves() -> None:
    """One direction of 30,000: a millionth of the mean diagonal is rounding beside it."""
    wide = 30_000
    moments = SecondMoment(np.eye(wide, 1), np.ones(1))
    rng = np.random.default_rng(0)
    delta = Delta.of(rng.standard_normal((2, 1)), rng.standard_normal((1, wide)))
    part = Adapter({KEYS[0]: delta}, "wide", "org/tiny")
    with pytest.warns(SuperposeWarning, match=f"singular in `{KEYS[0]}`; .* raised to 1e-05"):
        found = merge([part], method=RegMean((InputStatistics({KEYS[0]: moments}, None, 1, 1),), 0))
    A = found[KEYS[0]].terms[0].A
    assert np.isfinite(A).all()


def test_statistics_come_back_from_their_file(tmp_path: Path) -> None:
    shared = SecondMoment.of(moment(1))
    whole = InputStatistics({KEYS[0]: shared, KEYS[1]: shared, KEYS[2]: SecondMoment.of(moment(2))},
                            "org/tiny", 8, 40)  # fmt: skip
    with pytest.raises(BadInput, match="sketch it"):
        whole.save(tmp_path / FILE)
    sketch = whole.sketched(4)
    sketch.save(tmp_path / FILE)
    found = InputStatistics.load(tmp_path / FILE)
    assert (found.base_model, found.rows, found.tokens) == ("org/tiny", 8, 40)
    assert list(found) == list(KEYS)
    assert found[KEYS[0]] is found[KEYS[1]]
    for key in KEYS:
        np.testing.assert_allclose(found[key].values, sketch[key].values, rtol=1e-6)
        np.testing.assert_allclose(found[key].vectors, sketch[key].vectors, atol=1e-3)
        assert found[key].trace == pytest.approx(sketch[key].trace, rel=1e-5)


def test_a_damaged_file_of_statistics_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / FILE
    statistics(1).sketched(4).save(path)
    file = open_tensors(path).read()
    tensors, metadata = file.tensors, file.metadata
    (key,) = metadata
    cases = {
        "no input statistics": (tensors, {}),
        "damaged": (tensors, {key: "{"}),
        "version 9": (tensors, {key: metadata[key].replace('"version": 1', '"version": 9')}),
        "no tensor `1.values`": ({k: v for k, v in tensors.items() if k != "1.values"}, metadata),
        "no second moment": ({**tensors, "1.values": tensors["1.values"][:2]}, metadata),
        "is damaged": (tensors, {key: re.sub(r'"rest": [^}]+', '"rest": 1e300', metadata[key])}),
    }
    for message, (held, note) in cases.items():
        path.unlink()
        write_tensors(path, held, note)
        with pytest.raises(BadInput, match=message) as caught:
            InputStatistics.load(path)
        assert str(path) in str(caught.value)


def test_moments_as_large_as_a_file_holds_have_a_sum(tmp_path: Path) -> None:
    path = tmp_path / FILE
    statistics(1).sketched(4).save(path)
    file = open_tensors(path).read()
    full = np.finfo(np.float32).max
    held = {k: np.full_like(v, full) if "values" in k else v for k, v in file.tensors.items()}
    path.unlink()
    write_tensors(path, held, file.metadata)
    for moment in InputStatistics.load(path).values():
        assert moment.trace >= 4.0 * float(full)
        assert moment.sketched(2).trace == pytest.approx(moment.trace, rel=1e-6)


def test_its_parts_sum_to_it_and_weights_of_one_leave_it() -> None:
    parts, moments = three()
    method = RegMean(moments)
    whole = dense_of(merge(parts, WEIGHTS, method))
    apart = [dense_of(part) for part in method.apart(parts, WEIGHTS)]
    fine = tuple(FineWeights(dict.fromkeys(part, 1.0)) for part in parts)
    tuned = dense_of(merge(parts, WEIGHTS, RegMeanTuned(moments, weights=fine)))
    for key, right in whole.items():
        np.testing.assert_allclose(sum(p[key] for p in apart if key in p), right, atol=1e-12)
        np.testing.assert_allclose(tuned[key], right, atol=1e-12)


def test_weights_on_top_weigh_what_the_regression_makes_of_each_adapter() -> None:
    parts, moments = three()
    apart = [dense_of(part) for part in RegMean(moments).apart(parts, WEIGHTS)]
    fine = [dict.fromkeys(part, 0.5 + n) for n, part in enumerate(parts)]
    method = RegMeanTuned(moments, weights=tuple(map(FineWeights, fine)))
    found = merge(parts, WEIGHTS, method)
    for key, delta in dense_of(found).items():
        right = sum((0.5 + n) * part[key] for n, part in enumerate(apart) if key in part)
        np.testing.assert_allclose(delta, right, atol=1e-10)
    assert found.made.what == "the regression with tuned weights"
    with pytest.raises(BadSetting, match="3 adapters and the fine weights of 0") as error:
        merge(parts, method=RegMeanTuned(moments))
    assert error.value.where == "weights"
    with pytest.raises(BadSetting, match="`word` is none of adapter"):
        RegMeanTuned(by="word")
