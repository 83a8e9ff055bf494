"""What each merge method keeps, by the claims of its paper."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.compose.battery import (
    ENTRIES,
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

import superpose
from superpose import compose
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
from superpose.compose.by_module import ByModule
from superpose.compose.from_inputs import FromInputs
from superpose.compose.shared_inputs import overlapping
from superpose.compose.spectrum import with_spectrum
from superpose.lowrank import singular_values
from superpose.lowrank.joint import subspaces

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

    found = subspaces(matrices, [np.eye(8)] * 3, 3)

    start = (
        np.linalg.svd(np.concatenate(matrices, axis=1))[0][:, :3],
        np.linalg.svd(np.concatenate([x.T for x in matrices], axis=1))[0][:, :3],
    )
    assert held(*found) > held(*start)
    turned = [np.linalg.qr(rng.standard_normal((9, 3)))[0] for _ in range(200)]
    V = found[1]
    assert all(held(U, V) < held(*found) for U in turned[:20])


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
    assert found.made.what == "a sum by squared norms"
    assert merged(adapters, EqualNorm(), WEIGHTS).made.what == "a sum at the mean norm"


def test_sums_that_cancel_have_no_size_to_be_brought_to() -> None:
    one = adapter(5, "one")
    found = merged([one, replace(-1.0 * one, name="opposite")], EqualNorm())
    assert not any(x.any() for x in dense(found).values())


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


@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize("rounding", [0.0, 1e-8])
def test_an_adapter_that_does_not_write_to_a_direction_counts_there_by_alpha(
    alpha: float, rounding: float
) -> None:
    """Of three that write to other outputs each, but for rounding: s is 1 of one, 0 of two."""
    adapters = unrelated()
    adapters[0] = replace(adapters[0] + rounding * adapters[1], name="a0")
    total = sum(map(one, adapters))
    found = one(merged(adapters, Svc(alpha=alpha)))
    np.testing.assert_allclose(found, total * 3.0 / (1.0 + 2.0 * alpha), atol=1e-6)


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


@pytest.mark.parametrize("rank", [1, 3])
def test_two_that_read_the_same_overlap_and_two_that_do_not_do_not(rank: int) -> None:
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((9, 6)))[0]
    assert overlapping([Q[:, :rank], Q[:, :rank]])
    assert not overlapping([Q[:, :rank], Q[:, 3 : 3 + rank]])


def test_a_sum_made_orthogonal_is_called_so() -> None:
    what = "a sum, each without the inputs of those before it,"
    assert merged(three(), Orthogonal(), WEIGHTS).made.what == what


def test_a_module_of_zeros_takes_no_part_in_the_energy_kept() -> None:
    alone = adapter(5, "alone")
    silent = replace(alone, deltas={**alone, "silent": Delta.of(np.zeros((4, 1)), np.ones((1, 5)))})
    found, right = (merged([each], Tsv(rank=1)) for each in (silent, alone))
    assert found.made.energy_kept == right.made.energy_kept


def test_star_keeps_as_few_directions_as_hold_the_share_rounding_aside() -> None:
    """Two equal singular values: half of the nuclear norm is one of them."""
    B = np.diag([0.1, 0.1, 0.0])[:, :2] / 3.0
    (alone,) = of((B, np.eye(2)))
    kept = np.linalg.svd(one(merged([alone], Star(eta=0.5))), compute_uv=False)
    np.testing.assert_allclose(kept, [0.2 / 3.0, 0.0], atol=1e-15)


WHAT = {
    "core": "a merge in core space",
    "ctm": "a merge after compression (CtM)",
    "dare": "a DARE merge",
    "dare-ties": "a DARE-TIES merge",
    "della": "a DELLA merge",
    "iso": "an isotropic merge",
    "knots": "a merge by shared outputs (KnOTS)",
    "orthogonal": "a sum, each without the inputs of those before it,",
    "pico": "a sum, shared outputs turned down (Pico),",
    "regmean": "the regression",
    "regmean-tuned": "the regression with tuned weights",
    "ssr": "the regression in the space of the ranks",
    "star": "a merge with its spectrum truncated and rescaled (STAR)",
    "svc": "a merge with calibrated singular values (SVC)",
    "ties": "a TIES merge",
    "tsv": "a merge of singular vectors (TSV)",
    "wudi": "a least-squares merge (WUDI)",
}


def test_a_files_note_says_what_each_method_gives() -> None:
    methods = [vars(compose)[name] for name in compose.__all__]
    said = {m.name: m.what for m in methods if inspect.isclass(m) and hasattr(m, "what")}
    assert said == WHAT


def test_a_files_note_is_of_deltas() -> None:
    assert str(merged(three(), Ties()).made).startswith("a TIES merge of deltas")


def test_a_spectrum_of_one_singular_value_is_changed_and_of_none_is_not() -> None:
    one_of_three = np.diag([2.0, 0.0, 0.0])
    found = with_spectrum(one_of_three, lambda U, sigma, Vt: 3.0 * sigma)
    np.testing.assert_allclose(found, np.diag([6.0, 0.0, 0.0]))
    nothing = np.zeros((3, 2))
    assert with_spectrum(nothing, lambda U, sigma, Vt: sigma + 1.0) is nothing


@pytest.mark.parametrize("rule", [Ties(), Sum()])
def test_a_rule_makes_nothing_of_nothing(rule: Method) -> None:
    found = Knots(rule=rule).ruled_small(["a", "b"], [np.zeros((3, 2))] * 2)
    np.testing.assert_array_equal(found, np.zeros((3, 2)))


def test_methods_that_draw_have_one_seed() -> None:
    assert Dare().seed == DareTies().seed == Della().seed == 0


def test_ranks_are_said_by_name() -> None:
    for name in compose.__all__:
        method = vars(compose)[name]
        if inspect.isclass(method) and issubclass(method, ByModule | FromInputs):
            rank = inspect.signature(method).parameters["rank"]
            assert rank.kind is inspect.Parameter.KEYWORD_ONLY, name
