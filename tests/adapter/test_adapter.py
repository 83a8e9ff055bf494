"""An adapter is a mapping and a vector: the laws hold against dense float64 deltas."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta, Parent
from superpose.errors import BadInput, DifferentBase, SuperposeError

WEIGHTS = st.floats(-8, 8, allow_nan=False, allow_subnormal=False)
# No deadline: a loaded machine is no counterexample.
LAW = settings(deadline=None, max_examples=40)
SHAPES = {"q": (6, 5), "k": (3, 5), "v": (4, 7)}


@st.composite
def recipes(draw):
    """What `build` needs: some of three modules, any ranks and dtype."""
    names = draw(st.sets(st.sampled_from(sorted(SHAPES)), min_size=1))
    return {
        "seed": draw(st.integers(0, 2**16)),
        "modules": {name: (*SHAPES[name], draw(st.integers(1, 4))) for name in sorted(names)},
        "dtype": draw(st.sampled_from(["float16", "bfloat16", "float32", "float64"])),
    }


def close(oracle, x, y):
    left, right = oracle(x), oracle(y)
    assert set(left) == set(right)
    return all(np.allclose(left[m], right[m], rtol=1e-10, atol=1e-9) for m in left)


@LAW
@given(recipes(), recipes(), recipes(), WEIGHTS, WEIGHTS)
def test_the_laws_of_a_vector_space(build, oracle, one, two, three, s, t):
    x, y, z = build(**one), build(**two), build(**three)
    assert close(oracle, x + y, y + x)
    assert close(oracle, (x + y) + z, x + (y + z))
    assert close(oracle, s * (x + y), s * x + s * y)
    assert close(oracle, (s + t) * x, s * x + t * x)
    assert close(oracle, s * (t * x), (s * t) * x)
    assert close(oracle, x - y, x + -1 * y)
    assert close(oracle, 1 * x, x)
    assert close(oracle, -(1 * -x), +x)
    assert (x - x).norm() == 0.0


@LAW
@given(recipes(), recipes(), WEIGHTS)
def test_sum_and_scaling_are_those_of_the_dense_deltas(build, oracle, one, two, s):
    x, y = build(**one), build(**two)
    left, right, total = oracle(x), oracle(y), oracle(x + s * y)
    for module, dense in total.items():
        expected = left.get(module, 0.0) + s * right.get(module, 0.0)
        np.testing.assert_allclose(dense, expected, rtol=1e-10, atol=1e-9)


@LAW
@given(recipes(), recipes(), recipes(), WEIGHTS)
def test_inner_is_the_dense_inner_product(build, oracle, one, two, three, s):
    x, y, z = build(**one), build(**two), build(**three)
    left, right = oracle(x), oracle(y)
    expected = sum(np.sum(left[m] * right[m]) for m in left if m in right)
    assert x.inner(y) == pytest.approx(expected, rel=1e-10, abs=1e-9)
    assert x.inner(y) == pytest.approx(y.inner(x), rel=1e-10, abs=1e-9)
    assert (x + s * y).inner(z) == pytest.approx(x.inner(z) + s * y.inner(z), rel=1e-9, abs=1e-7)
    assert x.norm() == pytest.approx(math.sqrt(x.inner(x)))


@LAW
@given(recipes(), recipes())
def test_the_cosine_lies_between_minus_one_and_one_and_is_one_with_itself(build, one, two):
    x, y = build(**one), build(**two)
    for other in (y, x, 3 * x, -x, x + y):
        assert -1.0 <= x.cosine(other) <= 1.0
    assert x.cosine(3 * x) == pytest.approx(1.0)
    assert x.cosine(-x) == pytest.approx(-1.0)


def test_rounding_does_not_carry_a_cosine_past_one(build):
    for seed in range(50):
        x = build(seed=seed)
        assert x.cosine(x) <= 1.0
        assert x.cosine(-x) >= -1.0


def test_a_zero_adapter_has_no_cosine(build):
    x = build()
    assert math.isnan(x.cosine(0 * x))
    assert (0 * x).norm() == 0.0


def test_figures_do_not_change_when_the_factors_are_rewritten(build):
    """A -> RA, B -> B R^-1 is the same delta."""
    x, y = build(dtype="float64"), build(seed=1)
    rng = np.random.default_rng(3)
    rewritten = {}
    for module, delta in x.items():
        ((c, B, A),) = delta.terms
        R = rng.standard_normal((delta.rank,) * 2) + 3 * np.eye(delta.rank)
        rewritten[module] = Delta.of(B @ np.linalg.inv(R), R @ A, c)
    z = Adapter(rewritten)
    assert z.norm() == pytest.approx(x.norm(), rel=1e-10)
    assert z.cosine(y) == pytest.approx(x.cosine(y), rel=1e-9)


def test_a_module_that_one_side_has_joins_the_union(build):
    x = build(modules={"q": (6, 5, 2)})
    y = build(seed=1, modules={"v": (4, 5, 1)})
    assert set(x + y) == {"q", "v"}
    assert (x + y)["v"].terms == y["v"].terms


def test_python_sums_adapters(build, oracle):
    adapters = [build(seed=n) for n in range(3)]
    assert close(oracle, sum(adapters), adapters[0] + adapters[1] + adapters[2])


@pytest.mark.parametrize(
    "scalar", [2, np.float64(2), np.float32(2), np.float16(2), np.int64(2), 2.0]
)
def test_python_and_numpy_scalars_scale_from_both_sides(build, oracle, scalar):
    x = build()
    for scaled in (scalar * x, x * scalar, x / (1 / scalar)):
        assert isinstance(scaled, Adapter)
        assert close(oracle, scaled, x + x)


WRONG = ["x", None, 1 + 2j, True, [1.0], np.ones(3), np.array(2.0), {"q": 1}, object()]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda operand: type(operand).__name__)
def test_what_is_no_scalar_does_not_scale(build, wrong):
    x = build()
    for operation in (
        lambda: x * wrong,
        lambda: wrong * x,
        lambda: x / wrong,
        lambda: wrong / x,
    ):
        with pytest.raises(TypeError):
            operation()


@pytest.mark.parametrize(
    "wrong", [*WRONG, 1, 0.0, np.float64(1)], ids=lambda operand: type(operand).__name__
)
def test_what_is_no_adapter_is_not_added(build, wrong):
    x = build()
    for operation in (
        lambda: x + wrong,
        lambda: wrong + x,
        lambda: x - wrong,
        lambda: wrong - x,
    ):
        with pytest.raises(TypeError):
            operation()


def test_adapters_are_neither_multiplied_nor_divided(build):
    for operation in (lambda x: x * x, lambda x: x / x, lambda x: 1 / x):
        with pytest.raises(TypeError):
            operation(build())


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_weight_that_is_no_number_is_refused(build, weight):
    for operation in (lambda x: x * weight, lambda x: weight * x, lambda x: x / weight):
        with pytest.raises(BadInput, match="finite"):
            operation(build())


def test_overflow_and_division_by_zero_are_no_adapters(build):
    with pytest.raises(BadInput, match="finite"):
        build() * 1e300 * 1e300
    with pytest.raises(ZeroDivisionError):
        build() / np.float64(0)


def test_other_shapes_are_another_base_model(build):
    x = build(modules={"q": (6, 5, 2)})
    y = build(modules={"q": (5, 6, 2)})
    for operation in (x.__add__, x.__sub__, x.inner, x.cosine):
        with pytest.raises(DifferentBase):
            operation(y)


def test_compression_is_the_best_of_its_rank_in_every_module(build, oracle):
    x = build(dtype="float64") + build(seed=1, dtype="float64")
    small = oracle(x.compress(2))
    for module, dense in oracle(x).items():
        U, s, Vt = np.linalg.svd(dense)
        expected = (U[:, :2] * s[:2]) @ Vt[:2]
        np.testing.assert_allclose(small[module], expected, rtol=1e-9, atol=1e-9)


def test_compression_leaves_what_is_small_enough_untouched(build):
    x = build()
    small = x.compress(2)
    assert small["q"] is x["q"]
    assert small["v"].rank == 2
    assert small.parents == (Parent("math", None, 1.0),)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_compression_remembers_the_dtype_that_its_factors_were_stored_in(build, dtype):
    x, y = build(dtype=dtype), build(seed=1, dtype=dtype)
    small = (-0.5 * (x + y).compress(2) + x).compress(1)
    assert {d.stored for d in small.values()} == {frozenset({dtype})}
    for delta in small.values():
        for term in delta.terms:
            assert term.B.dtype == np.result_type(np.float32, term.B.dtype), "algebra is not narrow"
    mixed = x.compress(1) + build(seed=2, dtype="float64").compress(1)
    assert {d.stored for d in mixed.values()} == {frozenset({dtype, "float64"})}


@pytest.mark.parametrize("rank", [0, -1, 2.0, "2", True, None])
def test_a_rank_that_is_none_is_refused(build, rank):
    with pytest.raises(BadInput, match="whole number"):
        build().compress(rank)


def test_a_superposition_names_its_parents_and_their_weights(build):
    x, y = build("math", path="a/math"), build("law", 1)
    total = 2 * (x + y) - y
    assert total.parents == (Parent("math", "a/math", 2.0), Parent("law", None, 1.0))
    assert total.name == "2*math + law"
    assert total.path is None


def test_two_adapters_in_memory_are_two_parents_whatever_they_are_called(build):
    x, y = build("math"), build("math", 1)
    total = x + 2 * y
    assert total.parents == (Parent("math", None, 1.0), Parent("math", None, 2.0))
    assert total.name == "math + 2*math"


def test_one_adapter_is_one_parent_by_identity_or_by_path(build):
    x = build("math")
    for twice in (x + x, 0.5 * x + 1.5 * x, x.on_base("gpt2") + x, (x + x).compress(1)):
        assert twice.parents == (Parent("math", None, 2.0),)
    read = (build("math", path="a/math"), build("mathematics", path="a/math"))
    assert (read[0] + read[1]).parents == (Parent("math", "a/math", 2.0),)
    assert (read[0] + build("math", path="b/math")).parents[1].path == "b/math"


def test_what_lies_on_disk_is_a_parent_whatever_it_was_made_from(build):
    read = build("both", path="both", parents=(Parent("math", None, 1.0),))
    assert (0.5 * read).parents == (Parent("both", "both", 0.5),)


def test_a_sum_keeps_the_settings_on_which_both_agree(build):
    x = build(settings={"task_type": "CAUSAL_LM", "revision": "main"})
    y = build(settings={"task_type": "CAUSAL_LM", "revision": "v2"})
    assert (x + y).settings == {"task_type": "CAUSAL_LM"}


def test_the_base_model_is_known_when_one_side_knows_it(build):
    assert (build() + build(base_model="gpt2")).base_model == "gpt2"
    assert build(base_model="gpt2").on_base("mine").base_model == "mine"


def test_an_adapter_is_a_mapping_of_its_modules(build):
    x = build()
    assert isinstance(x, Mapping)
    assert list(x) == ["q", "v"] == list(x.modules)
    assert len(x) == 2
    assert "k" not in x
    assert (x.rank, x.parameters) == (3, 2 * 11 + 3 * 9)


def test_adapters_are_equal_that_hold_the_same_and_can_be_keys(build):
    x, y = build(), build("math", 1)
    assert x == build() != y
    assert {x: 1, y: 2}[build()] == 1
    assert x != "math"


def test_the_repr_is_one_line(build):
    text = repr(build(base_model="gpt2"))
    assert text == "Adapter(math: 2 modules, rank 3, base gpt2)"


def test_later_changes_to_what_it_was_made_from_do_not_reach_it(build):
    deltas = dict(build())
    x = Adapter(deltas)
    deltas.clear()
    assert len(x) == 2


def test_an_adapter_survives_copy_and_pickle(build, oracle):
    x = build()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert close(oracle, x, twin)


@pytest.mark.parametrize("deltas", [{}, {"q": np.ones((2, 2))}])
def test_an_adapter_needs_deltas(deltas):
    with pytest.raises(SuperposeError):
        Adapter(deltas)
