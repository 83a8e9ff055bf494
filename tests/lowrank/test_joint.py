"""One pair of subspaces for several deltas: as good as an optimum that is known, and no worse."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.lowrank.joint import one_length, subspaces


def factors(rng: np.random.Generator, count: int = 3, rank: int = 2) -> list[list[np.ndarray]]:
    return [[rng.standard_normal((rows, rank)) for _ in range(count)] for rows in (14, 11)]


def held(U: np.ndarray, V: np.ndarray, lefts: list[np.ndarray], rights: list[np.ndarray]) -> float:
    """sum_k |U^T D_k V|^2."""
    pairs = zip(lefts, rights, strict=True)
    return sum(float(np.sum((U.T @ left @ right.T @ V) ** 2)) for left, right in pairs)


@pytest.mark.parametrize("rank", [1, 2, 4, 6, 20])
def test_both_are_orthonormal_and_of_at_most_that_rank(rng: np.random.Generator, rank: int) -> None:
    U, V = subspaces(*factors(rng), rank)
    few = min(rank, 6)  # three deltas of rank 2
    assert (U.shape, V.shape) == ((14, few), (11, few))
    np.testing.assert_allclose(U.T @ U, np.eye(few), atol=1e-10)
    np.testing.assert_allclose(V.T @ V, np.eye(few), atol=1e-10)


def test_of_one_delta_they_hold_what_its_singular_values_allow(rng: np.random.Generator) -> None:
    lefts, rights = factors(rng, count=1, rank=5)
    sizes = np.linalg.svd(lefts[0] @ rights[0].T, compute_uv=False)
    for rank in (1, 3, 5):
        U, V = subspaces(lefts, rights, rank)
        assert held(U, V, lefts, rights) == pytest.approx(np.sum(sizes[:rank] ** 2))


def test_no_step_for_one_side_would_hold_more(rng: np.random.Generator) -> None:
    lefts, rights = factors(rng)
    U, V = subspaces(lefts, rights, 2)
    found = held(U, V, lefts, rights)
    beside = np.concatenate(
        [left @ (right.T @ V) for left, right in zip(lefts, rights, strict=True)], axis=1
    )
    best = np.sum(np.linalg.svd(beside, compute_uv=False)[:2] ** 2)
    assert found == pytest.approx(best, rel=1e-3)
    for _ in range(20):
        random = [np.linalg.qr(rng.standard_normal((n, 2)))[0] for n in (14, 11)]
        assert held(*random, lefts, rights) < found


def test_a_tolerance_ends_earlier_and_none_takes_every_round(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.lowrank import joint

    lefts, rights = factors(rng)
    rounds = []
    leading = joint._leading
    monkeypatch.setattr(joint, "_leading", lambda *args: (rounds.append(1), leading(*args))[1])
    whole = subspaces(lefts, rights, 2)
    assert len(rounds) == 2 + 2 * joint.ROUNDS
    rounds.clear()
    early = subspaces(lefts, rights, 2, tolerance=1e-2)
    assert 4 <= len(rounds) < 2 + 2 * joint.ROUNDS
    assert held(*early, lefts, rights) == pytest.approx(held(*whole, lefts, rights), rel=0.05)


def test_negligible_directions_are_left_out(rng: np.random.Generator) -> None:
    (left,), (right,) = factors(rng, count=1, rank=2)
    U, V = subspaces([left * [1.0, 1e-12]], [right], 2)
    assert (U.shape, V.shape) == ((14, 1), (11, 1))


def test_lengths_are_brought_to_their_mean_as_far_as_beta_says() -> None:
    lengths = [1.0, 4.0, 10.0]
    for beta, wanted in ((0.0, [5.0, 5.0, 5.0]), (1.0, lengths), (0.5, [3.0, 4.5, 7.5])):
        found = one_length(lengths, beta)
        assert [f * length for f, length in zip(found, lengths, strict=True)] == pytest.approx(
            wanted
        )
    assert one_length(lengths) == one_length(lengths, 0.0)
