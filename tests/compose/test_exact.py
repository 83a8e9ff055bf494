"""The exact sum is sum_k lambda_k dW_k over the union of the target modules."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import superpose
from superpose.adapter import Part, Replacement, Stored
from superpose.compose import exact_sum
from superpose.errors import BadInput, DifferentBase, SuperposeWarning
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Q, V, K = (f"model.layers.0.self_attn.{p}_proj" for p in "qvk")


def test_deltas_are_added_with_their_weights_and_modules_united(
    write_adapter: WriteAdapter,
) -> None:
    a = superpose.load(write_adapter("a", seed=1, rank=2, modules=(Q, V)))
    b = superpose.load(write_adapter("b", seed=2, rank=3, modules=(V, K), alpha=1.5))
    c = superpose.load(write_adapter("c", seed=3, rank=1, modules=(Q,), use_rslora=True))
    total = exact_sum([a, b, c], [1.0, -0.5, 2.0])
    assert set(total) == {Q, V, K}
    zero = np.zeros((8, 8))
    for module in total:
        parts = [dense(x[module].terms) if module in x else zero for x in (a, b, c)]
        right = parts[0] - 0.5 * parts[1] + 2.0 * parts[2]
        np.testing.assert_allclose(dense(total[module].terms), right, atol=1e-5)


def test_a_weight_that_overflows_is_refused_with_its_adapter(write_adapter: WriteAdapter) -> None:
    a, b = (superpose.load(write_adapter(name, alpha=64.0)) for name in "ab")
    with pytest.raises(BadInput, match=r"/b`: .* coefficient is inf"):
        exact_sum([a, b], [1.0, 1e308])


def test_without_weights_each_counts_once_and_the_parents_are_kept(
    write_adapter: WriteAdapter,
) -> None:
    paths = [write_adapter(name, seed=i) for i, name in enumerate("ab")]
    total = exact_sum([superpose.load(path) for path in paths])
    assert [(p.name, p.path, p.weight) for p in total.parents] == [
        ("a", str(paths[0]), 1.0),
        ("b", str(paths[1]), 1.0),
    ]


def test_one_adapter_with_weight_1_is_itself(write_adapter: WriteAdapter) -> None:
    a = superpose.load(write_adapter("a"))
    assert exact_sum([a], [1.0]).cosine(a) == pytest.approx(1.0)
    assert exact_sum([a], [1.0]).norm() == a.norm()


ZERO = r"the sum is zero: `.*` adds nothing"


def test_an_adapter_minus_itself_is_zero_and_said_to_be(write_adapter: WriteAdapter) -> None:
    a = superpose.load(write_adapter("a"))
    with pytest.warns(SuperposeWarning, match=ZERO):
        assert exact_sum([a, a], [1.0, -1.0]).norm() == 0.0


def test_a_copy_in_another_folder_cancels_and_is_said_to(write_adapter: WriteAdapter) -> None:
    a, b = (superpose.load(write_adapter(name, seed=1)) for name in "ab")
    with pytest.warns(SuperposeWarning, match=ZERO):
        assert exact_sum([a, b], [0.5, -0.5]).norm() == 0.0
    with pytest.warns(SuperposeWarning, match=ZERO):
        exact_sum([a, b], [0.0, 0.0])


def test_a_sum_that_nearly_cancels_is_not_zero_and_its_norm_is_right(
    write_adapter: WriteAdapter,
) -> None:
    a, b = (superpose.load(write_adapter(name, seed=1)) for name in "ab")
    left = exact_sum([a, b], [1.0, -(1.0 - 1e-10)])  # no warning, or this test fails
    assert left.norm() == pytest.approx(1e-10 * a.norm(), rel=1e-4)


def test_stored_tensors_that_cancel_are_zero_and_those_that_do_not_are_said_to_be_none(
    write_adapter: WriteAdapter,
) -> None:
    a = superpose.load(write_adapter("a"))
    bias = Replacement((Part(1.0, Stored(np.ones(8))),), "norm.bias")
    same, other = (
        replace(a, replacements={"norm.bias": replace(bias, parts=(Part(1.0, Stored(x)),))})
        for x in (np.ones(8), np.full(8, 2.0))
    )
    held = replace(a, replacements={"norm.bias": bias})
    with pytest.warns(SuperposeWarning, match=ZERO):
        exact_sum([held, same], [1.0, -1.0])
    exact_sum([held, other], [1.0, -1.0])
    exact_sum([held, a], [1.0, -1.0])  # what is left of it depends on the base


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 2.0, 3.0]], ids=len)
def test_another_number_of_weights_than_adapters_is_bad_input(
    weights: list[float], write_adapter: WriteAdapter
) -> None:
    a = superpose.load(write_adapter("a"))
    with pytest.raises(BadInput, match=f"2 adapters and {len(weights)} task weight"):
        exact_sum([a, a], weights)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_a_weight_that_is_not_finite_is_bad_input_and_names_the_adapter(
    weight: float, write_adapter: WriteAdapter
) -> None:
    a, b = (superpose.load(write_adapter(name)) for name in "ab")
    with pytest.raises(BadInput, match="task weight of `b`"):
        exact_sum([a, b], [1.0, weight])


def test_no_adapters_have_no_sum() -> None:
    with pytest.raises(BadInput, match="at least one"):
        exact_sum([])


def test_other_base_names_are_refused_unless_said_to_be_one(write_adapter: WriteAdapter) -> None:
    a = superpose.load(write_adapter("a", base_model="org/one"))
    b = superpose.load(write_adapter("b", base_model="org/two"))
    with pytest.raises(DifferentBase, match="--same-base"):
        exact_sum([a, b])
    assert exact_sum([a, b], same_base=True).base_model == "org/one"


def test_a_difference_in_spelling_is_said_once_for_any_number_of_adapters(
    write_adapter: WriteAdapter,
) -> None:
    names = ["google/gemma-3-270m-it", "gemma3-270m-it", r"C:\models\Gemma-3-270M-it"]
    loaded = [
        superpose.load(write_adapter(f"a{i}", base_model=name)) for i, name in enumerate(names)
    ]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exact_sum(loaded)
    assert len(said) == 1


def test_other_shapes_are_refused_whatever_is_said(write_adapter: WriteAdapter) -> None:
    a, b = (superpose.load(write_adapter(f"w{w}", width=w)) for w in (8, 12))
    with pytest.raises(DifferentBase, match=r"\(8, 8\).*\(12, 12\)"):
        exact_sum([a, b], same_base=True)


def test_the_package_offers_the_cosine_of_two_adapters(write_adapter: WriteAdapter) -> None:
    a, b = (superpose.load(write_adapter(name, seed=seed)) for seed, name in enumerate("ab"))
    assert superpose.cosine(a, b) == a.cosine(b) != 0.0
    assert superpose.cosine(a, -2 * a) == pytest.approx(-1.0)


def test_the_package_has_no_attribute_that_it_does_not_list() -> None:
    with pytest.raises(AttributeError, match="no attribute 'cosines'"):
        superpose.cosines  # noqa: B018
    assert set(superpose.__all__) <= set(dir(superpose))
