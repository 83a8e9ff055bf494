"""One basis for many adapters: what it keeps, whatever the adapters and their split."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta
from superpose.compose.one_basis import in_one_basis
from superpose.errors import BadInput, DifferentBase
from superpose.lowrank.joint import one_length, subspaces

OUT, IN = 9, 7


def many(seed: int, ranks: list[int], common: float = 0.0) -> list[Adapter]:
    """Adapters of two modules; common: how much of their factors all have alike."""
    rng = np.random.default_rng([seed, 5])
    start = {m: (rng.standard_normal((OUT, 9)), rng.standard_normal((9, IN))) for m in "qv"}

    def one(rank: int) -> Adapter:
        deltas = {}
        for module, (B, A) in start.items():
            b = common * B[:, :rank] + rng.standard_normal((OUT, rank))
            a = common * A[:rank] + rng.standard_normal((rank, IN))
            deltas[module] = Delta.of(b, a, float(rng.uniform(0.1, 3.0)))
        return Adapter(deltas, f"a{rank}")

    return [one(rank) for rank in ranks]


def dense(delta: Delta) -> np.ndarray:
    return np.asarray(sum(c * B.astype(float) @ A.astype(float) for c, B, A in delta.terms))


def kept(basis: Any, at: int, key: str) -> np.ndarray:
    """What an adapter is in the basis, dense."""
    U, V = basis.modules[key]
    core = basis.members[at].cores[key]
    middle = core.output if core.input is None else core.output @ core.input
    return np.asarray(U @ middle @ V)


def errors(parts: list[Adapter], basis: Any) -> list[float]:
    """Relative errors of every adapter's every module, from dense matrices."""
    return [
        float(np.linalg.norm(kept(basis, at, key) - dense(delta)) / np.linalg.norm(dense(delta)))
        for at, part in enumerate(parts)
        for key, delta in part.items()
    ]


shelves = st.builds(
    many,
    st.integers(0, 10**6),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sampled_from([0.0, 1.0, 3.0]),
)


@settings(max_examples=25)
@given(shelves)
def test_a_larger_basis_keeps_no_less_and_the_full_one_all(parts: list[Adapter]) -> None:
    lost = [sum(e**2 for e in errors(parts, in_one_basis(parts, rank))) for rank in range(1, OUT)]
    assert all(b <= a + 1e-6 for a, b in itertools.pairwise(lost))
    whole = min(OUT, sum(part.rank for part in parts))
    full = in_one_basis(parts, whole)
    assert max(errors(parts, full)) < 1e-12
    assert all(member.made.exact for member in full.members)


@settings(max_examples=25)
@given(shelves, st.floats(0.05, 1.0))
def test_every_adapter_keeps_the_energy_that_was_asked_for_in_every_module(
    parts: list[Adapter], energy: float
) -> None:
    basis = in_one_basis(parts, energy=energy)
    assert max(errors(parts, basis)) ** 2 <= 1.0 - energy + 1e-9
    for key, module in basis.modules.items():
        rank = len(module.inputs)
        if rank > 1:
            smaller = in_one_basis(parts, rank - 1)
            worst = max(
                np.linalg.norm(kept(smaller, at, key) - dense(part[key]))
                / np.linalg.norm(dense(part[key]))
                for at, part in enumerate(parts)
            )
            assert worst**2 > 1.0 - energy - 1e-3


@settings(max_examples=25)
@given(shelves, st.integers(1, 6))
def test_the_split_of_the_factors_does_not_matter(parts: list[Adapter], rank: int) -> None:
    rng = np.random.default_rng(0)

    def other(delta: Delta) -> Delta:
        ((c, B, A),) = delta.terms
        R = rng.standard_normal((len(A), len(A))) + 3.0 * np.eye(len(A))
        return Delta.of(B @ R, np.linalg.solve(R, A), c)

    again = [Adapter({m: other(d) for m, d in part.items()}, part.name) for part in parts]
    assert errors(again, in_one_basis(again, rank)) == pytest.approx(
        errors(parts, in_one_basis(parts, rank)), abs=1e-5
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_basis_of_one_adapter_is_that_of_its_leading_singular_vectors(rank: int) -> None:
    (part,) = many(1, [4])
    basis = in_one_basis([part], rank)
    for key, delta in part.items():
        U, s, Vt = np.linalg.svd(dense(delta))
        best = (U[:, :rank] * s[:rank]) @ Vt[:rank]
        np.testing.assert_allclose(kept(basis, 0, key), best, atol=1e-10)
    assert basis.members[0].made.energy_kept == pytest.approx(
        part.compress(rank).made.energy_kept, rel=1e-12
    )


def test_each_step_of_the_operator_is_the_best_answer_for_its_side() -> None:
    parts = many(3, [3, 2, 4])
    matrices = [dense(part["q"]) for part in parts]
    U, V = subspaces(matrices, [np.eye(IN)] * 3, 3)
    held = sum(np.sum((U.T @ x @ V) ** 2) for x in matrices)
    best = np.linalg.svd(np.concatenate([x @ V for x in matrices], axis=1), compute_uv=False)
    assert held == pytest.approx(np.sum(best[:3] ** 2), rel=1e-6)
    np.testing.assert_allclose(U.T @ U, np.eye(3), atol=1e-12)


def test_a_small_adapter_counts_as_much_as_a_large_one() -> None:
    large, small = many(4, [3, 3])
    basis = in_one_basis([large, 1e-9 * small], 4)
    again = in_one_basis([large, small], 4)
    sizes = errors([large, 1e-9 * small], basis)
    assert sizes == pytest.approx(errors([large, small], again), abs=1e-6)
    assert one_length([1.0, 3.0]) == [2.0, 2.0 / 3.0]
    assert one_length([1.0, 3.0], 1.0) == [1.0, 1.0]


def test_an_adapter_of_zeros_takes_no_part_and_stays_zeros() -> None:
    part, other = many(5, [2, 3])
    basis = in_one_basis([part, 0.0 * other], 2)
    assert basis.members[1].cores == {}
    assert basis.members[1].zeros == {"q", "v"}
    alone = in_one_basis([part], 2)
    assert errors([part], basis) == pytest.approx(errors([part], alone))
    assert in_one_basis([0.0 * other], 2).modules == {}


def test_modules_that_only_some_have_are_theirs_alone() -> None:
    part, other = many(6, [2, 3])
    short = Adapter({"q": other["q"]}, "short")
    basis = in_one_basis([part, short], 9)
    assert list(basis.modules) == ["q", "v"]
    assert len(basis.modules["v"].inputs) == 2
    assert list(basis.members[1].cores) == ["q"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "rank"),
        ({"rank": 0}, "rank"),
        ({"energy": 0.0}, "energy"),
        ({"energy": 1.5}, "energy"),
        ({"energy": math.nan}, "energy"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        in_one_basis(many(1, [2]), **options)


def test_adapters_of_two_bases_have_no_common_basis() -> None:
    part, _ = many(1, [2, 2])
    other = Adapter({"q": Delta.of(np.ones((OUT + 1, 1)), np.ones((1, IN)))}, "other")
    with pytest.raises(DifferentBase, match="q"):
        in_one_basis([part, other], 2)
