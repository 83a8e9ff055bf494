"""LoHa and LoKr as LoRA factors, against the products that PEFT and LyCORIS form densely."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from peft.tuners.loha import layer as loha
from peft.tuners.lokr import layer as lokr

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused
from superpose.formats import expanded
from superpose.formats.expanded import (
    MOST_A_BYTE,
    ProductLayout,
    size_of_factors,
    small_formed,
    with_factors,
)
from superpose.formats.hadamard import HADAMARD, hadamard_layout, hadamard_term
from superpose.formats.kronecker import KRONECKER, kronecker_layout, kronecker_term
from superpose.lowrank import Hadamard, Kronecker, Term

KERNELS = st.sampled_from([(), (1,), (3,), (1, 1), (3, 3), (3, 2), (2, 2, 2)])
SIZES = st.integers(1, 7)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def hadamard_factors(tensors: dict[str, np.ndarray]) -> Term:
    return hadamard_term(tensors, 1.0).formed()


def kronecker_factors(tensors: dict[str, np.ndarray]) -> Term:
    return kronecker_term(tensors, 1.0).formed()


def shapes(tensors: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def close(found: Any, expected: np.ndarray, bound: float = 1e-12) -> bool:
    dense = found.B.astype(np.float64) @ found.A.astype(np.float64)
    return bool(np.linalg.norm(dense - expected) <= bound * (1e-30 + np.linalg.norm(expected)))


@given(SIZES, SIZES, SIZES, st.integers(0, 9))
def test_loha_is_one_pair_of_factors_with_pefts_own_delta(
    out: int, into: int, r: int, seed: int
) -> None:
    """Also where the two products differ in rank, which nobody writes but the algebra allows."""
    r2 = 1 + seed % 3
    tensors = {
        "hada_w1_a": random(out, r, seed=seed),
        "hada_w1_b": random(r, into, seed=seed + 1),
        "hada_w2_a": random(out, r2, seed=seed + 2),
        "hada_w2_b": random(r2, into, seed=seed + 3),
    }
    torched = [torch.from_numpy(tensors[name]) for name in HADAMARD[:4]]
    expected = loha.make_weight(*torched, scale=torch.tensor(1.0)).numpy()
    layout, found = hadamard_layout(shapes(tensors)), hadamard_factors(tensors)
    assert close(found, expected)
    assert layout == ProductLayout((out, into), (), r, min(r * r2, out, into))
    assert found.B.shape == (out, layout.expanded)


@given(SIZES, SIZES, st.integers(1, 3), KERNELS, st.integers(0, 9))
def test_tucker_loha_is_one_pair_of_factors_with_lycoris_own_delta(
    out: int, into: int, r: int, kernel: tuple[int, ...], seed: int
) -> None:
    kernel = kernel or (3, 3)
    tensors = {
        name: random(*shape, seed=seed + i)
        for i, (name, shape) in enumerate(
            zip(HADAMARD, [(r, out), (r, into)] * 2 + [(r, r, *kernel)] * 2, strict=True)
        )
    }
    a1, b1, a2, b2, t1, t2 = tensors.values()
    rebuilt = [np.einsum("ij...,ip,jr->pr...", t, a, b) for t, a, b in ((t1, a1, b1), (t2, a2, b2))]
    expected = (rebuilt[0] * rebuilt[1]).reshape(out, -1)
    if len(kernel) == 2:
        torched = [torch.from_numpy(t) for t in (t1, a1, b1, t2, a2, b2)]
        peft = loha.make_weight_cp(*torched, torch.tensor(1.0)).numpy().reshape(out, -1)
        np.testing.assert_allclose(peft, expected, rtol=1e-9, atol=1e-12)
    layout, found = hadamard_layout(shapes(tensors)), hadamard_factors(tensors)
    assert layout.shape == expected.shape
    assert (layout.kernel, layout.rank) == (kernel, r)
    assert close(found, expected)


def kronecker(
    first: str, second: str, sizes: tuple[int, int, int, int], r: int, kernel: tuple[int, ...]
) -> dict[str, np.ndarray]:
    a, b, c, d = sizes
    tensors: dict[str, np.ndarray] = {}
    if first == "whole":
        tensors["lokr_w1"] = random(a, c)
    else:
        tensors |= {"lokr_w1_a": random(a, r), "lokr_w1_b": random(r, c)}
    if second == "whole":
        tensors["lokr_w2"] = random(b, d, *kernel, seed=1)
    elif second == "factored":
        tensors |= {"lokr_w2_a": random(b, r, seed=1), "lokr_w2_b": random(r, d, *kernel, seed=1)}
    elif second == "flattened":
        flat = d * math.prod(kernel)
        tensors |= {"lokr_w2_a": random(b, r, seed=1), "lokr_w2_b": random(r, flat, seed=1)}
    else:
        core = random(r, r, *(kernel or (3, 3)), seed=1)
        tensors |= {"lokr_w2_a": random(r, b), "lokr_w2_b": random(r, d), "lokr_t2": core}
    return tensors


def dense_kronecker(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """LyCORIS' formula: (a, c) (x) (b, d, ...) with the kernel's axes left alone, flattened."""
    w1 = tensors.get("lokr_w1")
    if w1 is None:
        w1 = tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    w2 = tensors.get("lokr_w2")
    if w2 is None and "lokr_t2" in tensors:
        parts = (tensors["lokr_t2"], tensors["lokr_w2_a"], tensors["lokr_w2_b"])
        w2 = np.einsum("ij...,ip,jr->pr...", *parts)
    elif w2 is None:
        w2 = np.tensordot(tensors["lokr_w2_a"], tensors["lokr_w2_b"], axes=1)
    w1 = w1.reshape(*w1.shape, *[1] * (w2.ndim - 2))
    whole = torch.kron(torch.from_numpy(w1.copy("C")), torch.from_numpy(w2.copy("C"))).numpy()
    return whole.reshape(whole.shape[0], -1)


@given(
    st.sampled_from(["whole", "factored"]),
    st.sampled_from(["whole", "factored", "flattened", "tucker"]),
    st.tuples(SIZES, SIZES, SIZES, SIZES),
    st.integers(1, 4),
    KERNELS,
)
def test_lokr_is_one_pair_of_factors_with_the_kronecker_products_own_delta(
    first: str, second: str, sizes: tuple[int, int, int, int], r: int, kernel: tuple[int, ...]
) -> None:
    tensors = kronecker(first, second, sizes, r, kernel)
    expected = dense_kronecker(tensors)
    layout, found = kronecker_layout(shapes(tensors)), kronecker_factors(tensors)
    assert layout.shape == expected.shape
    assert layout.rank == (None if first == second == "whole" else r)
    assert found.B.shape == (expected.shape[0], layout.expanded)
    assert layout.expanded <= min(expected.shape)
    assert close(found, expected)


@pytest.mark.parametrize("second", ["whole", "factored", "tucker"])
def test_lokr_of_a_convolution_is_what_peft_merges(second: str) -> None:
    tensors = kronecker("whole", second, (2, 3, 4, 5), 2, (3, 3) if second != "factored" else ())
    w2 = tensors.get("lokr_w2")
    torched = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    if second == "tucker":
        whole = lokr.make_weight_cp(torched["lokr_t2"], torched["lokr_w2_a"], torched["lokr_w2_b"])
    else:
        whole = torched["lokr_w2_a"] @ torched["lokr_w2_b"] if w2 is None else torched["lokr_w2"]
    expected = lokr.make_kron(torched["lokr_w1"], whole).numpy()
    assert close(kronecker_factors(tensors), expected.reshape(6, -1))


LAYERS = {
    "linear": torch.nn.Linear(12, 18),
    "pointwise": torch.nn.Conv2d(12, 18, 1),
    "convolution": torch.nn.Conv2d(12, 18, 3),
    "grouped": torch.nn.Conv2d(24, 18, 3, groups=2),
    "one-dimensional": torch.nn.Conv1d(12, 18, 5),
}


@pytest.mark.parametrize("tucker", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("algorithm", ["loha", "lokr", "lokr of two", "lokr whole"])
def test_a_module_that_lycoris_makes_is_the_weight_it_forwards_with(
    algorithm: str, layer: str, tucker: bool
) -> None:
    """LyCORIS' own modules, saved as they save themselves; alpha = rank, so that scale is 1."""
    cls: Any = LohaModule if algorithm == "loha" else LokrModule
    options: dict[str, Any] = {"lora_dim": 2, "alpha": 2, "use_tucker": tucker}
    if algorithm == "lokr of two":
        options |= {"decompose_both": True, "factor": 6}
    elif algorithm == "lokr whole":
        options |= {"full_matrix": True}
    module = cls("name", LAYERS[layer], **options)
    for i, parameter in enumerate(module.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(i))
    saved = {k: v.detach().numpy() for k, v in module.custom_state_dict().items() if k != "alpha"}
    expected = module.get_weight(module.shape).detach().numpy()
    expected = expected.reshape(expected.shape[0], -1).astype(np.float64)
    known, made = (
        (hadamard_layout, hadamard_factors)
        if algorithm == "loha"
        else (kronecker_layout, kronecker_factors)
    )
    assert known(shapes(saved)).shape == expected.shape
    assert close(made(saved), expected, 1e-5)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_products_of_what_a_file_holds_are_not_rounded(dtype: Any) -> None:
    """Each entry of the factors is a product of two stored values, whose bits fit."""
    tensors = {n: random(8, 2).astype(dtype) for n in ("hada_w1_a", "hada_w2_a")}
    tensors |= {n: random(2, 9).astype(dtype) for n in ("hada_w1_b", "hada_w2_b")}
    _, B, A = hadamard_factors(tensors)
    wide = {n: t.astype(np.longdouble) for n, t in tensors.items()}
    for i in range(2):
        for j in range(2):
            column = wide["hada_w1_a"][:, i] * wide["hada_w2_a"][:, j]
            row = wide["hada_w1_b"][i] * wide["hada_w2_b"][j]
            assert np.array_equal(B[:, 2 * i + j].astype(np.longdouble), column)
            assert np.array_equal(A[2 * i + j].astype(np.longdouble), row)


DAMAGED_HADAMARD = {
    "no second half": ({"hada_w2_a": None, "hada_w2_b": None}, "`hada_w2_a` is missing"),
    "one core": ({"hada_t1": (2, 2, 3, 3)}, "`hada_t2` is missing"),
    "other ranks": ({"hada_w1_b": (3, 5)}, "`hada_w1_a` .* do not belong together"),
    "other widths": ({"hada_w2_b": (2, 6)}, "do not belong together"),
    "a vector": ({"hada_w2_b": (2,)}, "do not belong together"),
    "nothing": ({"hada_w1_a": (4, 0), "hada_w1_b": (0, 5)}, "do not belong together"),
}


@pytest.mark.parametrize("case", DAMAGED_HADAMARD)
def test_loha_tensors_that_do_not_belong_together_are_named(case: str) -> None:
    good = {"hada_w1_a": (4, 2), "hada_w1_b": (2, 5), "hada_w2_a": (4, 2), "hada_w2_b": (2, 5)}
    changes, message = DAMAGED_HADAMARD[case]
    damaged = {k: v for k, v in (good | changes).items() if v is not None}
    with pytest.raises(BadInput, match=message):
        hadamard_layout(damaged)


DAMAGED_KRONECKER: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "half of w1": ({"lokr_w1_a": (4, 2), "lokr_w2": (3, 3)}, "`lokr_w1_b` is missing"),
    "no w2": ({"lokr_w1": (4, 2)}, "`lokr_w2_a` is missing"),
    "w2 a vector": ({"lokr_w1": (4, 2), "lokr_w2": (3,)}, "`lokr_w2` .3,. do not belong"),
    "w2 a number": ({"lokr_w1": (4, 2), "lokr_w2": ()}, "`lokr_w2` .. do not belong"),
    "w1 a cube": ({"lokr_w1": (4, 2, 2), "lokr_w2": (3, 3)}, "`lokr_w1`"),
    "ranks in w2": (
        {"lokr_w1": (4, 2), "lokr_w2_a": (3, 2), "lokr_w2_b": (3, 3)},
        "do not belong together",
    ),
    "two ranks": (
        {"lokr_w1_a": (4, 2), "lokr_w1_b": (2, 4), "lokr_w2_a": (3, 1), "lokr_w2_b": (1, 3)},
        "rank 2 and lokr_w2 1",
    ),
    "core": (
        {"lokr_w1": (4, 2), "lokr_w2_a": (2, 3), "lokr_w2_b": (2, 3), "lokr_t2": (3, 2, 3, 3)},
        "do not belong together",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_KRONECKER)
def test_lokr_tensors_that_do_not_belong_together_are_named(case: str) -> None:
    damaged, message = DAMAGED_KRONECKER[case]
    with pytest.raises(BadInput, match=message):
        kronecker_layout(damaged)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(HADAMARD + KRONECKER), st.lists(st.integers(0, 3), max_size=6).map(tuple)
    )
)
def test_any_shapes_are_a_layout_or_bad_input(found: dict[str, tuple[int, ...]]) -> None:
    """And a layout is what the tensors make."""
    for names, known, made in (
        (HADAMARD, hadamard_layout, hadamard_factors),
        (KRONECKER, kronecker_layout, kronecker_factors),
    ):
        own = {name: shape for name, shape in found.items() if name in names}
        try:
            layout = known(own)
        except BadInput:
            continue
        factors = made({name: np.ones(shape) for name, shape in own.items()})
        assert (factors.B.shape[0], factors.A.shape[1]) == layout.shape
        assert factors.B.shape[1] == layout.expanded


def one(B: np.ndarray, A: np.ndarray, *, many: int) -> Adapter:
    """An adapter of `many` LoHa whose two products are both B A."""
    delta = Delta((Hadamard(1.0, (B, A), (B, A)),))
    return Adapter({f"m{i}": delta for i in range(many)})


def test_a_few_numbers_that_mean_a_huge_matrix_are_never_formed() -> None:
    side = np.broadcast_to(np.float16(1.0), (3000, 3000))
    adapter = Adapter({"m": Delta((Kronecker(1.0, (side,), (side,)),))}, "big")
    assert size_of_factors(adapter) == 8 * 9_000_000 * 18_000_000
    with pytest.raises(Refused, match=r"`big`: its 1 .* `m` of rank 9,000,000\n.*--rank 64"):
        with_factors(adapter)
    with pytest.raises(Refused, match=r"rank 9,000,000\n.*--rank 64"):
        _ = adapter["m"].terms[0].B


def test_as_much_is_formed_as_the_file_is_large() -> None:
    """A LoHa of a large UNet is no bomb: its file is large as well."""
    B, A = np.ones((64, 32)), np.ones((32, 64))
    deltas = one(B, A, many=3)
    entries = sum(t.entries for d in deltas.values() for t in d.terms if isinstance(t, Hadamard))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expanded, "MOST_OF_ALL", 0)
        formed = small_formed(deltas, entries // MOST_A_BYTE)
        assert all(isinstance(d.terms[0], Term) for d in formed.values())
        left = small_formed(deltas, entries // MOST_A_BYTE - 1)
        assert all(isinstance(d.terms[0], Hadamard) for d in left.values())
