"""The figures of a check are those of the dense deltas, with floors, and NaN where none exists."""

from __future__ import annotations

import json
import math
import warnings

import ml_dtypes
import numpy as np
import pytest

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, DifferentBase
from superpose.interference import check
from superpose.lowrank import dense


def dense_deltas(adapter):
    return {module: np.asarray(dense(delta.terms), np.float64) for module, delta in adapter.items()}


def dense_overlap(x, y):
    """Overlap of the column spaces of two dense deltas, of full rank 4."""
    left, right = (np.linalg.svd(d)[0][:, :4] for d in (x, y))
    return np.linalg.norm(left.T @ right) ** 2 / 4


def test_every_figure_of_a_pair_is_that_of_the_dense_deltas(build):
    a, b = build("a", 0), build("b", 1)
    (pair,) = check([a, b]).pairs
    x, y = dense_deltas(a), dense_deltas(b)
    cosines = {m: np.sum(x[m] * y[m]) / np.linalg.norm(x[m]) / np.linalg.norm(y[m]) for m in x}
    for module in pair.modules:
        left, right = x[module.name], y[module.name]
        out, in_ = left.shape
        assert module.cosine == pytest.approx(cosines[module.name], abs=1e-6)
        assert module.cosine_floor == pytest.approx(1 / math.sqrt(out * in_))
        assert module.output_overlap == pytest.approx(dense_overlap(left, right), rel=1e-3)
        assert module.input_overlap == pytest.approx(dense_overlap(left.T, right.T), rel=1e-3)
        assert (module.output_chance, module.input_chance) == (4 / out, 4 / in_)
    inner = sum(np.sum(x[m] * y[m]) for m in x)
    norms = [math.sqrt(sum(np.sum(d * d) for d in deltas.values())) for deltas in (x, y)]
    assert pair.cosine == pytest.approx(inner / math.prod(norms), abs=1e-6)
    assert pair.norm_ratio == pytest.approx(max(norms) / min(norms), rel=1e-6)
    assert pair.rms_cosine == pytest.approx(
        math.sqrt(np.mean(np.square([*cosines.values()]))), abs=1e-6
    )
    floors = [module.cosine_floor for module in pair.modules]
    assert pair.rms_cosine_floor == pytest.approx(math.sqrt(np.mean(np.square(floors))))
    assert pair.output_overlap == pytest.approx(np.mean([m.output_overlap for m in pair.modules]))
    assert pair.output_chance == pytest.approx(np.mean([4 / 60, 4 / 40, 4 / 60]))


def test_the_energy_ratio_is_that_of_the_dense_sum(build):
    adapters = [build(seed=n) for n in range(3)]
    total = dense_deltas(sum(adapters))
    energy = sum(np.sum(d * d) for d in total.values())
    parts = sum(np.sum(d * d) for a in adapters for d in dense_deltas(a).values())
    assert check(adapters).energy_ratio == pytest.approx(energy / parts, rel=1e-6)


def test_the_energy_ratio_is_k_when_equal_and_zero_when_cancelling(build):
    a = build()
    assert check([a, a, a]).energy_ratio == pytest.approx(3.0)
    assert check([a, -a]).energy_ratio == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(check([0 * a, 0 * a]).energy_ratio)


def test_unrelated_adapters_have_cosines_of_the_size_of_their_floors(build):
    modules = {f"m{n}": (40, 30) for n in range(60)}
    pairs = [
        check([build("a", n, modules), build("b", 1000 + n, modules)]).pairs[0] for n in range(30)
    ]
    times = [p.rms_cosine / p.rms_cosine_floor for p in pairs]
    assert np.mean(times) == pytest.approx(1.0, abs=0.1)
    spread = np.sqrt(np.mean([(p.cosine / p.cosine_floor) ** 2 for p in pairs]))
    assert spread == pytest.approx(1.0, abs=0.4)


def test_all_figures_are_invariant_under_rewritten_factors(build, rebuilt):
    """A -> RA, B -> B R^-1 is the same delta; so badly conditioned that float32 would not do."""
    a, b = build("a", 0), build("b", 1)
    rng = np.random.default_rng(5)
    skew = rng.standard_normal((4, 4)) @ np.diag([1e-3, 1, 1, 30]) @ rng.standard_normal((4, 4))
    a2 = rebuilt(a, lambda c, B, A: (c, B @ np.linalg.inv(skew), skew @ A))
    (before,), (after,) = check([a, b]).pairs, check([a2, b]).pairs
    for figure in ("rms_cosine", "cosine", "output_overlap", "input_overlap", "norm_ratio"):
        assert getattr(after, figure) == pytest.approx(getattr(before, figure), rel=1e-3, abs=1e-6)


def test_factors_so_skew_that_float32_fails_are_taken_in_float64(build, rebuilt):
    """bfloat16 columns that differ by a thousandth: float32 products would lose the space."""
    a, b = build("a", 0), build("b", 1)

    def nearly_dependent(c, B, A):
        common = B[:, :1]
        return c, (common + 1e-3 * B).astype(np.float32), A

    skew = rebuilt(a, nearly_dependent)
    (pair,) = check([skew, b]).pairs
    for module in pair.modules:
        (left,), (right,) = skew[module.name].terms, b[module.name].terms
        Q, P = (np.linalg.qr(t.B.astype(np.float64))[0] for t in (left, right))
        assert module.output_overlap == pytest.approx(np.linalg.norm(Q.T @ P) ** 2 / 4, rel=1e-6)


def test_values_near_the_end_of_float32_do_not_overflow(build, rebuilt):
    a = build("a", 0)
    huge = rebuilt(a, lambda c, B, A: (c, B * np.float32(1e25), A * np.float32(1e-25)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (pair,) = check([huge, build("b", 1)]).pairs
    (plain,) = check([a, build("b", 1)]).pairs
    assert pair.cosine == pytest.approx(plain.cosine, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float64"])
def test_every_dtype_is_checked_as_it_is_and_never_written(build, rebuilt, dtype):
    a, b = build("a", 0), build("b", 1)
    factors = [x for adapter in (a, b) for d in adapter.values() for x in d.terms[0][1:]]
    before = [x.copy() for x in factors]
    narrow = rebuilt(a, lambda c, B, A: (c, B.astype(dtype), A.astype(dtype)))
    (pair,) = check([narrow, b]).pairs
    assert pair.cosine == pytest.approx(narrow.cosine(b), abs=1e-6)
    assert all(np.array_equal(old, new) for old, new in zip(before, factors, strict=True))


def test_sums_of_many_terms_are_compared_like_any_other(build):
    a, b, c = build("a", 0), build("b", 1), build("c", 2)
    total = a + b - (1 - 1e-5) * a
    (pair,) = check([total, c]).pairs
    assert pair.cosine == pytest.approx(total.cosine(c), abs=1e-9)
    assert pair.cosine == pytest.approx(b.cosine(c), abs=1e-4)


def test_the_order_of_the_adapters_does_not_matter(build):
    a, b = build("a", 0), build("b", 1, rank=3)
    (one,), (two,) = check([a, b]).pairs, check([b, a]).pairs
    for figure in (
        "rms_cosine",
        "cosine",
        "output_overlap",
        "input_overlap",
        "norm_ratio",
        "rms_cosine_floor",
    ):
        assert getattr(one, figure) == pytest.approx(getattr(two, figure), rel=1e-6)


def test_all_pairs_are_there_and_agree_with_each_alone(build):
    adapters = [build(name, n, rank=n + 2) for n, name in enumerate("abc")]
    whole = check(adapters)
    assert [(p.a, p.b) for p in whole.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    (alone,) = check([adapters[0], adapters[2]]).pairs
    assert whole.pairs[1].cosine == pytest.approx(alone.cosine, abs=1e-7)
    assert whole.pairs[1].output_overlap == pytest.approx(alone.output_overlap, rel=1e-5)


def test_only_shared_modules_are_compared_but_all_count_in_the_norms(build):
    a = build("a", 0, {"q": (60, 50), "k": (40, 50)})
    b = build("b", 1, {"k": (40, 50), "v": (60, 80)})
    (pair,) = check([a, b]).pairs
    assert [module.name for module in pair.modules] == ["k"]
    assert pair.cosine == pytest.approx(a.cosine(b), abs=1e-7)


def test_without_a_shared_module_there_is_no_cosine(build):
    result = check([build("a", 0, {"q": (60, 50)}), build("b", 1, {"v": (60, 80)})])
    written = result.to_json()["pairs"][0]
    for figure in ("rms_cosine", "cosine", "rms_cosine_floor", "output_overlap", "input_overlap"):
        assert written[figure] is None
    assert written["verdict"] == "no shared modules"
    assert written["shared_a"] is False
    assert result.energy_ratio == pytest.approx(1.0)


def test_a_zero_delta_is_left_out_counted_and_said(build):
    a, b = build("a", 0), build("b", 1)
    silent = Adapter({**a, "k": a["k"].with_coefficients(lambda c: 0.0 * c)}, "a")
    (pair,) = check([silent, b]).pairs
    by_name = {module.name: module for module in pair.modules}
    assert math.isnan(by_name["k"].cosine)
    assert math.isnan(by_name["k"].output_overlap)
    assert pair.zero_modules == 1
    rest = [by_name[m].cosine for m in ("q", "v")]
    assert pair.rms_cosine == pytest.approx(math.sqrt(np.mean(np.square(rest))))
    assert "1 of 3 shared modules have a zero delta" in pair.judgement.reason


def test_an_untrained_adapter_is_checked_without_a_division_by_zero(build, rebuilt):
    untrained = rebuilt(build("a", 0), lambda c, B, A: (c, np.zeros_like(B), A))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = check([untrained, build("b", 1)])
    written = result.to_json()
    assert written["pairs"][0]["cosine"] is None
    assert written["pairs"][0]["norm_ratio"] is None
    assert written["pairs"][0]["verdict"] == "adds nothing"
    json.dumps(written, allow_nan=False)


def test_the_json_has_the_keys_that_others_rely_on(build):
    written = check([build("a", 0, path="x/a"), build("b", 1)]).to_json()
    assert {"adapters", "pairs", "sum"} <= set(written)
    own = {"name", "path", "module_count", "rank", "parameters", "norm"}
    assert own <= set(written["adapters"][0])
    pair = {
        *("a", "b", "rms_cosine", "cosine", "rms_cosine_floor", "output_overlap", "output_chance"),
        *("input_overlap", "input_chance", "norm_ratio", "shared_a", "verdict", "reason"),
        "modules",
    }
    assert pair <= set(written["pairs"][0])
    module = {"name", "cosine", "cosine_floor", "output_overlap", "input_overlap"}
    assert module <= set(written["pairs"][0]["modules"][0])
    assert set(written["sum"]) == {"energy_ratio"}
    json.dumps(written, allow_nan=False)


def test_adapters_of_one_name_are_told_apart(build):
    twins = [build("math", 0, path="a/math"), build("math", 1, path="b/math"), build("law", 2)]
    assert [a.name for a in check(twins).adapters] == ["a/math", "b/math", "law"]
    nameless = [build("math", 0), build("math", 1)]
    assert [a.name for a in check(nameless).adapters] == ["math (1)", "math (2)"]


def test_one_adapter_has_nothing_to_be_compared_with(build):
    with pytest.raises(BadInput, match="at least two"):
        check([build()])


def test_different_base_models_are_refused(build):
    pair = [build("a").on_base("gpt2"), build("b").on_base("llama")]
    with pytest.raises(DifferentBase):
        check(pair)
    assert check(pair, same_base=True).pairs
    with pytest.raises(DifferentBase):
        check([build("a", 0, {"q": (60, 50)}), build("b", 1, {"q": (50, 60)})], same_base=True)


def test_the_most_overlapping_modules_come_largest_first(build):
    a = build("a", 0, {f"m{n}": (40, 30) for n in range(6)})
    b = build("b", 1, {f"m{n}": (40, 30) for n in range(6)})
    same = {m: Delta.of(a[m].terms[0].B, b[m].terms[0].A) for m in ("m4",)}
    (pair,) = check([a, Adapter({**b, **same}, "b")]).pairs
    top = pair.most_overlapping
    assert top[0].name == "m4"
    assert top[0].output_overlap == pytest.approx(1.0)
    assert len(top) == 3
    assert top[1].output_overlap >= top[2].output_overlap
