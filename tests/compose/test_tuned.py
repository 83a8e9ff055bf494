"""A tuned sum is the sum of what was weighted, by module or by direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.compose.battery import adapter, dense, rebuilt

import superpose
from superpose.adapter import Adapter
from superpose.compose import FineWeights, TunedSum, merge
from superpose.errors import BadInput, BadSetting
from superpose.lowrank import rank


def weights_of(given: Adapter, seed: int, fine: bool) -> FineWeights:
    rng = np.random.default_rng(seed)
    return FineWeights(
        {
            key: tuple(rng.uniform(0, 2, rank(delta.terms)).tolist())
            if fine
            else float(rng.random())
            for key, delta in given.items()
        }
    )


def parts() -> list[Adapter]:
    return [adapter(1, "math", 3), adapter(2, "law", 2)]


def test_each_singular_triple_has_its_weight() -> None:
    given = parts()
    fine = tuple(weights_of(each, n, True) for n, each in enumerate(given))
    found = dense(merge(given, (1.0, -0.5), TunedSum(weights=fine)))
    for key in found:
        right = 0.0
        for each, own, weight in zip(given, fine, (1.0, -0.5), strict=True):
            U, s, Vt = np.linalg.svd(dense(each)[key], full_matrices=False)
            few = len(own[key])
            right = right + weight * (U[:, :few] * s[:few] * own[key]) @ Vt[:few]
        np.testing.assert_allclose(found[key], right, atol=1e-10)


def test_a_number_weighs_a_module_and_ones_give_the_sum() -> None:
    given = parts()
    coarse = tuple(weights_of(each, n, False) for n, each in enumerate(given))
    found = dense(merge(given, None, TunedSum("module", coarse)))
    for key in found:
        right = sum(own[key] * dense(each)[key] for each, own in zip(given, coarse, strict=True))
        np.testing.assert_allclose(found[key], right, atol=1e-12)
    ones = tuple(FineWeights({k: (1.0,) * rank(d.terms) for k, d in p.items()}) for p in given)
    apart = merge(given, None, TunedSum(weights=ones)) - merge(given)
    assert apart.norm() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_directions_are_the_deltas_and_not_the_factors(seed: int) -> None:
    given = parts()
    R = np.random.default_rng(seed).standard_normal((3, 3)) + 3.0 * np.eye(3)
    other = rebuilt(given[0], lambda B, A: (B @ np.linalg.inv(R), R @ A))
    fine = tuple(weights_of(each, n, True) for n, each in enumerate(given))
    one, two = (
        dense(merge([p, given[1]], None, TunedSum(weights=fine))) for p in (given[0], other)
    )
    for key in one:
        np.testing.assert_allclose(one[key], two[key], atol=1e-9)


def test_what_it_is_travels_and_its_parents_are_the_adapters(tmp_path: Path) -> None:
    given = parts()
    fine = tuple(weights_of(each, n, True) for n, each in enumerate(given))
    found = merge(given, (1.0, 0.5), TunedSum(weights=fine))
    assert [(p.name, p.weight) for p in found.parents] == [("math", 1.0), ("law", 0.5)]
    superpose.save(found, tmp_path / "out")
    made = superpose.load(tmp_path / "out").made
    assert (made.method, dict(made.settings)) == ("tuned", {"by": "direction"})
    assert "a sum with tuned weights by direction" in str(made)


def test_bad_weights_are_named() -> None:
    given = parts()
    fine = tuple(weights_of(each, n, True) for n, each in enumerate(given))
    with pytest.raises(
        BadSetting, match="`row` is none of adapter, layer, kind, module, direction"
    ):
        TunedSum("row")
    with pytest.raises(BadSetting, match="2 adapters and the fine weights of 0"):
        merge(given, None, TunedSum())
    with pytest.raises(BadInput, match="2 task weights, and the delta has 3 directions"):
        merge(given, None, TunedSum(weights=(fine[1], fine[1])))
    with pytest.raises(BadInput, match="has no task weight of its own"):
        merge(given, None, TunedSum(weights=(FineWeights({}), fine[1])))
    broken = FineWeights({**fine[0], next(iter(fine[0])): (1.0, float("nan"), 1.0)})
    with pytest.raises(BadInput, match="must be a finite number"):
        merge(given, None, TunedSum(weights=(broken, fine[1])))
