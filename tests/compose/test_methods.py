"""What each merge method keeps, by the claims of its paper; what it refuses, and the ways out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.compose.battery import (
    ENTRIES,
    LAYER,
    SHAPES,
    VARIANTS,
    WEIGHTS,
    adapter,
    assert_close,
    dense,
    merged,
    rebuilt,
    three,
    weighted,
    write_base,
)
from tests.compose.test_heads import made as classifier

import superpose
from superpose.adapter import Adapter, Delta
from superpose.compose import (
    Average,
    BestRank,
    CoreSpace,
    Ctm,
    Dare,
    DareTies,
    Della,
    EqualNorm,
    Iso,
    Knots,
    Method,
    Orthogonal,
    Pico,
    Star,
    Sum,
    Svc,
    Ties,
    Tsv,
    Wudi,
)
from superpose.compose.ctm import subspaces
from superpose.errors import BadInput, BadSetting, Refused
from superpose.lowrank import singular_values

MODULE = "q"
ALL = Ties(density=1.0)


def of(*factors: tuple[np.ndarray, np.ndarray]) -> list[Adapter]:
    """One adapter of one module for each pair of factors."""
    return [Adapter({MODULE: Delta.of(B, A)}, f"a{i}") for i, (B, A) in enumerate(factors)]


def unrelated(seed: int = 0, size: int = 12, rank: int = 3, count: int = 3) -> list[Adapter]:
    """Adapters that write to and read from orthogonal subspaces."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(2))
    places = [slice(i * rank, (i + 1) * rank) for i in range(count)]
    scales = [np.diag(rng.uniform(1.0, 2.0, rank)) for _ in places]
    return of(*((left[:, p] @ s, right[:, p].T) for p, s in zip(places, scales, strict=True)))


def same_start(drift: float, rank: int = 4, count: int = 3) -> list[Adapter]:
    """Adapters whose A started from one and went a little way each."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((rank, 30))
    return of(
        *(
            (rng.standard_normal((24, rank)), A + drift * rng.standard_normal(A.shape))
            for _ in range(count)
        )
    )


def one(found: Adapter) -> np.ndarray:
    return dense(found)[MODULE]


def size(x: Adapter) -> float:
    return float(np.linalg.norm(one(x)))


@pytest.mark.parametrize("method", [ALL, Dare(density=1.0), DareTies(density=1.0)])
def test_all_entries_of_one_adapter_are_the_adapter(method: Method) -> None:
    alone = adapter(5, "alone")
    assert_close(dense(merged([alone], method)), dense(alone))


@pytest.mark.parametrize(
    "method",
    [
        Ties(density=1.0),
        Knots(rule=Ties(density=1.0)),
        CoreSpace(rule=Ties(density=1.0)),
        Average(),
    ],
)
def test_the_mean_of_equal_adapters_is_one_of_them(method: Method) -> None:
    same = [replace(adapter(5, "x"), name=f"copy {i}") for i in range(3)]
    assert_close(dense(merged(same, method)), dense(same[0]))


@pytest.mark.parametrize("density", [0.3, 0.8])
def test_an_entry_under_dare_spreads_as_its_formula_says(density: float) -> None:
    (alone,) = of((np.ones((200, 1)), np.ones((1, 200))))
    found = one(merged([alone], Dare(density=density, rank=200)))
    assert found.std() == pytest.approx(np.sqrt((1 - density) / density), rel=0.02)
    assert found.mean() == pytest.approx(1.0, abs=0.03)


def test_della_keeps_large_entries_more_often_as_far_as_epsilon_says() -> None:
    row = np.linspace(1.0, 2.0, 400)[None, :]
    (alone,) = of((np.ones((300, 1)), row))
    found = one(merged([alone], Della(density=0.5, epsilon=0.3, rank=300)))
    shares = (np.abs(found) > 1e-9).mean(axis=0)
    assert shares[:40].mean() == pytest.approx(0.23, abs=0.03)
    assert shares[-40:].mean() == pytest.approx(0.77, abs=0.03)


@pytest.mark.parametrize("rule", ["knots", "core", "ctm"])
def test_a_linear_rule_gives_the_sum(rule: str) -> None:
    method = {"knots": Knots, "core": CoreSpace, "ctm": Ctm}[rule](rule=Sum())
    if rule == "ctm":
        method = replace(method, rank=6)
    right = weighted([dense(a) for a in three()], WEIGHTS)
    assert_close(dense(merged(three(), method, WEIGHTS)), right)


def test_orthogonal_adapters_are_added_by_tsv_and_wudi_and_stay_apart() -> None:
    adapters = unrelated()
    total = sum(map(one, adapters))
    np.testing.assert_allclose(one(merged(adapters, Tsv(share=1.0))), total, atol=1e-12)
    np.testing.assert_allclose(one(merged(adapters, Wudi())), total, atol=1e-12)
    np.testing.assert_allclose(one(merged(adapters, Orthogonal())), total, atol=1e-12)


def test_tsv_keeps_as_many_directions_as_it_says_with_the_size_they_have() -> None:
    adapters = unrelated()
    right = sorted(s for a in adapters for s in singular_values(a[MODULE].terms)[:2])
    found = singular_values(merged(adapters, Tsv(share=0.67))[MODULE].terms)
    np.testing.assert_allclose(sorted(found), right)


@pytest.mark.parametrize("method", [Iso(), Iso(variant="cts", common=0.5)])
def test_the_spectrum_of_iso_is_flat(method: Iso) -> None:
    found = merged(three(), method, WEIGHTS)
    for module, delta in found.items():
        s = singular_values(delta.terms)
        np.testing.assert_allclose(s, s[0], err_msg=module)


def test_iso_c_keeps_the_trace_norm_and_the_rank() -> None:
    found, total = merged(three(), Iso()), merged(three(), Sum())
    for module in total:
        s, t = (singular_values(x[module].terms) for x in (found, total))
        assert s.sum() == pytest.approx(t.sum())
        assert np.linalg.matrix_rank(dense(found)[module]) == len(t)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_ctm_of_one_adapter_at_its_own_size_is_the_best_approximation(rank: int) -> None:
    alone = adapter(5, "alone")
    found = merged([alone], Ctm(rank=rank, beta=1.0, rule=Sum()))
    assert_close(dense(found), dense(merged([alone], BestRank(rank))))


def test_the_subspaces_of_ctm_hold_more_than_those_of_each_side_alone() -> None:
    rng = np.random.default_rng(1)
    matrices = [rng.standard_normal((9, 8)) for _ in range(3)]

    def held(U: np.ndarray, V: np.ndarray) -> float:
        return sum(float(np.sum((U.T @ x @ V) ** 2)) for x in matrices)

    start = (
        np.linalg.svd(np.concatenate(matrices, axis=1))[0][:, :3],
        np.linalg.svd(np.concatenate([x.T for x in matrices], axis=1))[0][:, :3],
    )
    assert held(*subspaces(matrices, 3)) > held(*start)
    turned = [np.linalg.qr(rng.standard_normal((9, 3)))[0] for _ in range(200)]
    V = subspaces(matrices, 3)[1]
    assert all(held(U, V) < held(*subspaces(matrices, 3)) for U in turned[:20])


@pytest.mark.parametrize("method", [EqualNorm(), Pico()])
def test_the_merged_delta_has_the_mean_norm_of_the_adapters(method: Method) -> None:
    adapters = [a for a in three() if len(a) == 3]
    found, parts = dense(merged(adapters, method)), [dense(a) for a in adapters]
    for module in found:
        mean = np.mean([np.linalg.norm(part[module]) for part in parts])
        assert np.linalg.norm(found[module]) == pytest.approx(mean)


def test_equal_norm_by_squares_weighs_each_adapter_by_its_own() -> None:
    adapters = three()
    squares = np.array([(w * a.norm()) ** 2 for a, w in zip(adapters, WEIGHTS, strict=True)])
    shares = [w * s for w, s in zip(WEIGHTS, squares / squares.sum(), strict=True)]
    found = merged(adapters, EqualNorm(rule="meta"), WEIGHTS)
    assert_close(dense(found), weighted([dense(a) for a in adapters], shares))


def test_pico_turns_down_what_all_write_to_and_nothing_that_one_does() -> None:
    B = np.eye(6)
    first, second = of((B[:, :2], np.eye(2, 6)), (B[:, [0, 2]], np.eye(2, 6, 2)))
    found = one(merged([first, second], Pico()))
    rows = np.linalg.norm(found, axis=1)
    total = np.linalg.norm(one(first) + one(second), axis=1)
    assert rows[0] / total[0] < rows[1] / total[1]
    assert rows[1] == pytest.approx(rows[2])


@pytest.mark.parametrize("adapters", [three(), unrelated()], ids=["overlapping", "orthogonal"])
def test_at_wudi_without_a_ridge_the_gradient_is_zero(adapters: list[Adapter]) -> None:
    W, parts = dense(merged(adapters, Wudi(ridge=0.0))), [dense(a) for a in adapters]
    for module, value in W.items():
        there = [part[module] for part in parts if module in part]
        gradient = sum((value - D) @ D.T @ D / np.sum(D * D) for D in there)
        assert np.abs(gradient).max() < 1e-10


def test_wudi_of_adapters_from_one_start_takes_a_ridge_and_does_not_blow_up() -> None:
    adapters = same_start(0.01)
    mean = np.mean([size(a) for a in adapters])
    assert size(merged(adapters, Wudi(ridge=0.0))) > 20.0 * mean
    assert size(merged(adapters, Wudi())) < 4.0 * mean


def test_two_copies_of_an_adapter_calibrated_are_one() -> None:
    same = [replace(adapter(5, "x"), name=f"copy {i}") for i in range(2)]
    assert_close(dense(merged(same, Svc())), dense(same[0]))


@pytest.mark.parametrize("each", [False, True])
def test_star_keeps_the_nuclear_norm(each: bool) -> None:
    alone = adapter(5, "alone")
    found = merged([alone], Star(eta=0.5, each=each))
    for module in alone:
        s, t = (singular_values(x[module].terms) for x in (found, alone))
        assert s.sum() == pytest.approx(t.sum())
        assert np.linalg.matrix_rank(dense(found)[module]) < len(t)


def test_what_the_first_adapter_reads_stays_its_own_when_others_are_made_orthogonal() -> None:
    first, second, third = (adapter(i, f"a{i}", 2) for i in range(3))
    found = dense(merged([first, second, third], Orthogonal()))
    for module, delta in first.items():
        x = delta.terms[0].A.T
        np.testing.assert_allclose(found[module] @ x, dense(first)[module] @ x, atol=1e-10)


@pytest.mark.parametrize("name", [*ENTRIES, *VARIANTS])
def test_one_adapter_in_two_splits_stored_in_float32_is_one_to_its_rounding(
    name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)

    def change(B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        R = rng.standard_normal((len(A), len(A))) + 4.0 * np.eye(len(A))
        return B @ np.linalg.inv(R), R @ A

    def stored(given: Adapter, where: str) -> Adapter:
        superpose.save(given, tmp_path / where / given.name, dtype="float32")
        return superpose.load(tmp_path / where / given.name)

    method = {**ENTRIES, **VARIANTS}[name].make(write_base(tmp_path / "base"))
    adapters = three()
    results = [
        dense(merged([stored(a, w) for a in given], method, WEIGHTS))
        for w, given in (("as", adapters), ("other", [rebuilt(a, change) for a in adapters]))
    ]
    for module, value in results[0].items():
        assert np.abs(results[1][module] - value).max() < 1e-4 * np.abs(value).max()


BAD: dict[str, tuple[Callable[[], Method], str, str]] = {
    "no density": (lambda: Ties(density=0.0), "density", "above 0 and at most 1"),
    "much density": (lambda: Dare(density=1.5), "density", "above 0 and at most 1"),
    "density of nan": (lambda: DareTies(density=float("nan")), "density", "above 0"),
    "density below epsilon": (lambda: Della(density=0.1), "density", "density - epsilon"),
    "density and epsilon": (lambda: Della(density=0.9, epsilon=0.2), "density", r"\+ epsilon"),
    "epsilon": (lambda: Della(epsilon=-0.1), "density", "epsilon at least 0"),
    "seed": (lambda: Dare(seed=-1), "seed", "whole number"),
    "share": (lambda: Tsv(share=0.0), "share", "above 0"),
    "variant": (lambda: Iso(variant="x"), "variant", "none of c, cts"),
    "common": (lambda: Iso(common=2.0), "common", "at most 1"),
    "beta": (lambda: Ctm(beta=-0.1), "beta", "from 0 to 1"),
    "ridge": (lambda: Wudi(ridge=-1.0), "ridge", "at least 0"),
    "alpha": (lambda: Svc(alpha=0.0), "alpha", "above 0"),
    "eta": (lambda: Star(eta=1.1), "eta", "at most 1"),
    "mu": (lambda: Orthogonal(mu=-1.0), "mu", "at least 0"),
    "equal-norm's rule": (lambda: EqualNorm(rule="x"), "rule", "none of mean, meta"),
    "a rule on factors": (lambda: Knots(rule=Tsv()), "rule", "no method on entries"),
    "a rule with a rule": (lambda: CoreSpace(rule=CoreSpace()), "rule", "cannot be a rule"),
    "a rule that is none": (lambda: Star(rule=BestRank(2)), "rule", "cannot be a rule"),
    "a rule with a rank": (lambda: CoreSpace(rule=Ties(rank=2)), "rule", "not its rule's"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_setting_that_is_none_is_refused_by_its_name(case: str) -> None:
    make, where, what = BAD[case]
    with pytest.raises(BadSetting, match=what) as error:
        make()
    assert error.value.where == where


@pytest.mark.parametrize(("method", "most"), [(Ties(rank=11), 10), (Tsv(rank=7), 6)])
def test_a_rank_above_what_exists_is_refused_with_the_highest(method: Method, most: int) -> None:
    with pytest.raises(BadSetting, match=f"at most {most}") as error:
        merged(three(), method)
    assert error.value.where == "rank"
    assert merged(three(), replace(method, rank=most)).rank <= most  # type: ignore[call-arg]


@pytest.mark.parametrize("rank", [0, -1, 1.5])
def test_a_rank_that_is_no_whole_number_of_at_least_1_is_bad_input(rank: int) -> None:
    with pytest.raises(BadInput, match="rank"):
        Ties(rank=rank)


def test_weights_that_sum_to_nothing_have_no_average() -> None:
    with pytest.raises(BadInput, match="of that there is no average"):
        merged(three(), Average(), [1.0, -2.0, 1.0])


@pytest.mark.parametrize("method", [Ties(), Tsv(), EqualNorm()])
def test_a_head_that_is_stored_whole_is_refused_with_the_way_out(method: Method) -> None:
    heads = [classifier("a"), classifier("b", seed=1)]
    parts = [
        replace(h, replacements={k: r for k, r in h.replacements.items() if "score" in k})
        for h in heads
    ]
    with pytest.raises(Refused, match=f"`{method.name}` merges deltas alone") as error:
        superpose.merge(parts, None, method)
    assert "--heads none" in str(error.value)
    assert superpose.merge(parts, None, method, heads="none").replacements == {}
    assert superpose.merge(parts, None, method, heads="a").replacements.keys() == {
        "score.weight", "score.bias",
    }  # fmt: skip


def test_stored_tensors_are_averaged_and_the_refusal_of_others_says_so() -> None:
    parts = [classifier("a"), classifier("b", seed=1)]
    with pytest.raises(Refused, match="merges deltas alone") as error:
        superpose.merge(parts, None, Ties())
    assert "sum and average" in str(error.value)
    found = superpose.merge(parts, None, Average())
    for key, stored in found.replacements.items():
        mean = sum(part.replacements[key].value() for part in parts) / 2
        np.testing.assert_allclose(stored.value(), mean)
    assert superpose.merge(parts, [1.0, 0.0], Sum()).replacements


def test_an_adapter_at_weight_0_asks_for_nothing() -> None:
    plain = replace(classifier("plain"), replacements={}, settings={})
    found = merged([plain, classifier("stored", seed=1)], Ties(density=1.0), [1.0, 0.0])
    assert_close(dense(found), dense(plain))


def test_entries_are_worked_on_in_memory_for_one_adapter_whatever_their_number() -> None:
    side = 700
    rng = np.random.default_rng(0)
    parts = of(
        *((rng.standard_normal((side, 2)), rng.standard_normal((2, side))) for _ in "abcdef")
    )
    tracemalloc.start()
    merged(parts, Ties())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * side * side * 8


def test_a_result_on_entries_of_a_wide_module_is_the_best_of_its_rank() -> None:
    rng = np.random.default_rng(0)
    parts = of(*((rng.standard_normal((600, 3)), rng.standard_normal((3, 640))) for _ in "ab"))
    found = merged(parts, Ties(density=0.5))
    U, s, Vt = np.linalg.svd(one(merged(parts, Ties(density=0.5, rank=600))), full_matrices=False)
    kept = float(np.sum(s[:6] ** 2) / np.sum(s**2))
    assert found.rank == 6
    assert found.made.energy_kept == pytest.approx(kept, rel=1e-6)
    np.testing.assert_allclose(one(found), (U[:, :6] * s[:6]) @ Vt[:6], atol=1e-3)


def test_modules_of_other_shapes_are_merged_each_on_its_own() -> None:
    found = merged(three(), Ties(density=0.5), WEIGHTS)
    assert set(found) == {f"{LAYER}.{module}" for module in SHAPES}
    for module, delta in found.items():
        alone = [a for a in three() if module in a]
        weights = [w for a, w in zip(three(), WEIGHTS, strict=True) if module in a]
        right = merged([replace(a, deltas={module: a[module]}) for a in alone], Ties(density=0.5),
                       weights)  # fmt: skip
        np.testing.assert_allclose(dense(right)[module], dense(found)[module], atol=1e-12)
        assert delta.shape == right[module].shape
