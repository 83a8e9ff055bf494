"""The difference of two adapters is that of the dense deltas, also where they are almost one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose import Adapter, Delta, diff, load
from superpose.adapter import Part, Replacement, Rescaled, Stored

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Q, V = "layers.0.q_proj", "layers.0.v_proj"


def adapter(seed: int = 0, *, dtype: Any = np.float64, modules: tuple[str, ...] = (Q, V)) -> Any:
    rng = np.random.default_rng(seed)
    deltas = {
        module: Delta.of(
            rng.standard_normal((9, 3)).astype(dtype),
            rng.standard_normal((3, 7)).astype(dtype),
            2.0,
        )
        for module in modules
    }
    return Adapter(deltas, name=f"a{seed}", base_model="org/tiny")


def dense(delta: Delta) -> Any:
    return sum(c * B.astype(np.float64) @ A.astype(np.float64) for c, B, A in delta.terms)


def test_figures_are_those_of_the_dense_deltas() -> None:
    a, b = adapter(1), adapter(2)
    found = diff(a, b)
    x, y = ({m: dense(d) for m, d in z.items()} for z in (a, b))
    for module in found.modules:
        sizes = [np.linalg.norm(z[module.name]) for z in (x, y)]
        assert [module.norm_a, module.norm_b] == pytest.approx(sizes)
        apart = np.linalg.norm(x[module.name] - y[module.name])
        assert module.difference == pytest.approx(apart / max(sizes))
    whole = [np.concatenate([delta.ravel() for delta in z.values()]) for z in (x, y)]
    apart = np.linalg.norm(whole[0] - whole[1]) / max(map(np.linalg.norm, whole))
    assert found.difference == pytest.approx(apart)
    assert not found.same
    assert [m.difference for m in found.differing] == sorted(
        (m.difference for m in found.modules), reverse=True
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", np.float16, ml_dtypes.bfloat16])
def test_what_other_factors_of_a_dtype_leave_is_no_difference(dtype: Any) -> None:
    """The same delta in other factors, each rounded to the dtype; a hundredth more is one."""
    a = adapter(1, dtype=dtype)
    turned, more = {}, {}
    for module, delta in a.items():
        ((c, B, A),) = delta.terms
        R = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
        B, A = (x.astype(np.float64) for x in (B, A))
        turned[module] = Delta.of((B @ R).astype(dtype), (R.T @ A).astype(dtype), c)
        more[module] = Delta.of((1.05 * B @ R).astype(dtype), (R.T @ A).astype(dtype), c)
    assert diff(a, replace(a, deltas=turned)).same
    assert not diff(a, replace(a, deltas=more)).same


@given(share=st.floats(-14, 0), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_a_difference_down_to_rounding_is_measured_right(share: float, seed: int) -> None:
    """Squares of norms would lose all differences below 1e-8."""
    size = 10.0**share
    a = adapter(seed)
    found = diff(a, (1.0 - size) * a)
    assert found.difference == pytest.approx(size, rel=0.05, abs=4e-15)


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [(np.float64, 1e-12), (np.float32, 4e-6), (np.float16, 2e-3), (ml_dtypes.bfloat16, 1.6e-2)],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_rounding_to_a_dtype_is_no_difference_and_ten_times_as_much_is(
    dtype: Any, limit: float
) -> None:
    exact = adapter(3)
    rounded = replace(
        exact,
        deltas={
            m: Delta.of(t.B.astype(dtype), t.A.astype(dtype), t.coefficient)
            for m, d in exact.items()
            for t in d.terms
        },
    )
    found = diff(exact, rounded)
    assert found.tolerance == pytest.approx(limit, rel=0.1, abs=0.0)
    assert found.same
    other = diff(exact, (1.0 + 10 * limit) * rounded)
    assert not other.same


def test_the_same_delta_in_other_factors_is_the_same() -> None:
    a = adapter(4)
    R = np.random.default_rng(0).standard_normal((3, 3))
    rewritten = {
        m: Delta.of(t.B @ R, np.linalg.inv(R) @ t.A, t.coefficient)
        for m, d in a.items()
        for t in d.terms
    }
    halves = {m: 0.25 * d.terms[0].B for m, d in a.items()}
    scaled = {m: Delta.of(halves[m], d.terms[0].A, 8.0) for m, d in a.items()}
    assert diff(a, replace(a, deltas=rewritten)).same
    found = diff(a, replace(a, deltas=scaled))
    assert found.same
    assert [(f.name, f.a, f.b) for f in found.facts] == [("scaling", 2.0, 8.0)]


def test_a_module_only_one_has_is_a_difference_unless_it_is_zero() -> None:
    a = adapter(5)
    less = replace(a, deltas={Q: a[Q]})
    found = diff(a, less)
    assert (found.only_in("a"), found.only_in("b")) == ((V,), ())
    assert [(m.name, m.difference) for m in found.differing] == [(V, 1.0)]
    zero = replace(a, deltas={Q: a[Q], V: a[V].with_coefficients(lambda c: 0.0)})
    assert diff(zero, less).same


def test_the_json_of_a_difference_has_what_others_rely_on() -> None:
    a, b = adapter(5), adapter(6, modules=(V, "layers.1.v_proj"))
    found = diff(a, b.on_base("org/other"))
    written = found.to_json()
    assert list(written) == [
        "a", "b", "same", "difference", "tolerance", "one_base", "facts", "only_a", "only_b",
        "modules", "tensors",
    ]  # fmt: skip
    assert (written["a"], written["b"], written["same"]) == ("a5", "a6", False)
    assert (written["only_a"], written["only_b"]) == ([Q], ["layers.1.v_proj"])
    assert (written["one_base"], written["tolerance"]) == (False, found.tolerance)
    assert written["difference"] == found.difference
    assert [each["name"] for each in written["modules"]] == [Q, V, "layers.1.v_proj"]
    assert [each["name"] for each in written["facts"]] == ["base_model"]
    assert written["tensors"] == []


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_a_difference_does_not_depend_on_the_size_of_both(size: float) -> None:
    """Of a module that one has alone it is 1, however small the module is."""
    a, b = adapter(1), adapter(2, modules=(Q,))
    usual, sized = diff(a, b), diff(size * a, size * b)
    assert sized.difference == pytest.approx(usual.difference)
    for one, other in zip(sized.modules, usual.modules, strict=True):
        assert one.difference == pytest.approx(other.difference)
    assert [m.difference for m in sized.modules if m.norm_b is None] == [1.0]


def test_facts_tell_what_is_held_differently() -> None:
    a = adapter(6)
    b = replace(
        a.compress(2), base_model="other/TINY", settings={"task_type": "CAUSAL_LM"}, format="gguf"
    )
    facts = {fact.name: (fact.a, fact.b) for fact in diff(a, b).facts}
    assert facts["base_model"] == ("org/tiny", "other/TINY")
    assert facts["format"] == ("peft", "gguf")
    assert facts["task_type"] == (None, "CAUSAL_LM")
    assert facts["rank"] == (3, 2)
    assert "dtype" not in facts


def test_a_value_that_some_modules_have_is_said_with_their_number() -> None:
    a = adapter(6)
    b = replace(a, deltas={**a.deltas, Q: a.compress(1)[Q]})
    assert [f.name for f in diff(a, b).facts] == ["rank (1 module)", "scaling (1 module)"]


def test_other_base_models_are_different_unless_said_to_be_one() -> None:
    a = adapter(7)
    b = a.on_base("org/huge")
    assert not diff(a, b).same
    assert diff(a, b, same_base=True).same
    assert diff(a, a.on_base(None)).same


def test_other_shapes_are_different_and_have_no_figure() -> None:
    a = adapter(8)
    b = replace(a, deltas={Q: a[Q], V: Delta.of(np.ones((9, 3)), np.ones((3, 8)))})
    found = diff(a, b)
    assert not found.same
    assert math.isnan(found.difference)
    assert [m.name for m in found.differing] == [V]
    assert found.to_json()["difference"] is None


def test_stored_tensors_are_compared_as_they_are() -> None:
    def holding(x: float, coefficient: float = 1.0) -> Adapter:
        part = Part(coefficient, Stored(np.full(4, x)))
        held = Replacement((part,), "norm.bias")
        return replace(adapter(9), replacements={held.key: held})

    assert diff(holding(2.0), holding(2.0)).same
    (tensor,) = diff(holding(2.0), holding(2.5)).tensors
    assert tensor.difference == pytest.approx(0.2)
    # The other half is the base's own: compared by what the two are made of.
    (tensor,) = diff(holding(2.0), holding(2.0, 0.5)).differing
    assert tensor.difference == pytest.approx(0.5)
    (tensor,) = diff(holding(2.0), adapter(9)).differing
    assert (tensor.norm_a, tensor.norm_b, tensor.difference) == (4.0, None, 1.0)


def test_dora_weights_are_compared_by_magnitude_and_delta() -> None:
    plain = adapter(10)

    def dora(length: float = 1.0, size: float = 1.0) -> Adapter:
        terms = (size * plain)[Q].terms
        part = Part(1.0, Rescaled(np.full(9, length), terms))
        held = Replacement((part,), f"{Q}.weight")
        return replace(plain, deltas={}, replacements={held.key: held})

    found = diff(dora(), dora())
    assert found.same
    assert found.tensors[0].norm_a == pytest.approx(3.0)
    assert diff(dora(), dora(length=1.25)).tensors[0].difference == pytest.approx(0.2)
    assert diff(dora(), dora(size=0.9)).tensors[0].difference == pytest.approx(0.1)
    assert not diff(dora(), plain).same


def test_figures_of_a_mixed_sum_that_needs_the_base_do_not_exist() -> None:
    parts = (
        Part(0.5, Stored(np.ones((9, 7)))),
        Part(0.5, Rescaled(np.ones(9), adapter(1)[Q].terms)),
    )
    one, other = (Replacement(order, f"{Q}.weight") for order in (parts, parts[::-1]))
    a, b = (replace(adapter(1), replacements={x.key: x}) for x in (one, other))
    assert diff(a, a).same
    (tensor,) = diff(a, b).tensors
    assert math.isnan(tensor.difference)


def test_a_file_and_its_copy_are_the_same(write_adapter: WriteAdapter) -> None:
    a, b = (load(write_adapter(name, seed=1)) for name in ("a", "b"))
    found = diff(a, b)
    assert found.same
    assert found.difference == 0.0
    assert found.facts == ()
