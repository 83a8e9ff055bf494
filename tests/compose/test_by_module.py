"""Modules are merged one by one: what memory that takes, at what rank, and who takes part."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.compose.battery import LAYER, SHAPES, WEIGHTS, assert_close, dense, merged, three
from tests.compose.test_heads import made as classifier
from tests.compose.test_methods import of, one

from superpose.adapter import Adapter, Delta, Place
from superpose.compose import Dare, Pico, Ties
from superpose.compose.by_module import ModuleSource
from superpose.compose.entries import OnEntries
from superpose.lowrank import Term, rank as terms_rank


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


@pytest.mark.parametrize(("more", "dtype"), [(0, np.float64), (1, np.float32)])
def test_entries_are_of_float64_up_to_four_million(more: int, dtype: type) -> None:
    class Seen(Dare):
        def kept(self, x: np.ndarray, label: str) -> np.ndarray:
            assert x.dtype == dtype
            return x

    assert issubclass(Seen, OnEntries)
    split = Term(1.0, np.ones((1 << 11, 1)), np.ones((1, (1 << 11) + more)))
    assert Seen().of_module([ModuleSource("q|a|1", split)]).dtype == dtype


def test_draws_go_by_module_name_and_number_among_those_of_one_name() -> None:
    """So that a seed gives the same again: in another order, beside others, in a later version."""
    labels: list[str] = []

    class Labelled(Pico):
        def of_module(self, sources: Sequence[ModuleSource]) -> tuple[Term, ...]:
            labels.extend(source.label for source in sources)
            return super().of_module(sources)

    B, A = np.ones((3, 1)), np.ones((1, 4))
    parts = [replace(each, name=name) for each, name in zip(of(*[(B, A)] * 3), "aba", strict=True)]
    merged(parts, Labelled())
    assert labels == ["q|a|1", "q|b|1", "q|a|2"]


def test_the_groups_of_a_convolution_share_the_rank_that_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    places = [Place("conv", kind="convolution", kernel=(1,), block=n, blocks=2) for n in (0, 1)]
    parts = [
        Adapter(
            {
                place.key: Delta.of(
                    rng.standard_normal((9, 3)), rng.standard_normal((3, 8)), place=place
                )
                for place in places
            },
            name,
        )
        for name in "ab"
    ]
    for method in (Ties(density=1.0, rank=4), Pico(rank=4)):
        found = merged(parts, method)
        assert [terms_rank(delta.terms) for delta in found.values()] == [2, 2]
        assert found.rank == 4


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
