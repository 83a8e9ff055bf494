"""Figures in a reason, and what a next step says to type, are those of the dense deltas."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.interference import pairs as made
from tests.interference.pairs import Size, Two

from superpose.adapter import Adapter, Part, Replacement, Stored
from superpose.interference import Pair, borders, check
from superpose.interference.reading import is_crowded
from superpose.lowrank import dense


def pair_of(two: Two) -> Pair:
    (pair,) = check(list(two)).pairs
    return pair


def energy(of: Adapter) -> float:
    return float(sum(np.sum(np.square(dense(delta.terms))) for delta in of.values()))


@pytest.mark.parametrize("times", [5.2, 1 / 5.2])
def test_a_drowned_adapter_s_share_is_its_part_of_both_energies(times: float) -> None:
    a, b = made.unrelated(Size())
    a, b = a, Adapter((times * a.norm() / b.norm() * b).deltas, "b")
    small, large = sorted((a, b), key=energy)
    share = 100.0 * energy(small) / (energy(small) + energy(large))
    assert (
        f"{large.name} is 5.2 times as large as {small.name} and drowns it: {small.name} has "
        f"{share:.1f} % of their energy." in pair_of((a, b)).judgement.reason
    )


@pytest.mark.parametrize("times", [10.0, 1 / 10.0])
def test_the_larger_of_two_is_brought_to_the_size_of_the_other(times: float) -> None:
    a, b = made.unrelated(Size())
    b = Adapter((times * a.norm() / b.norm() * b).deltas, "b")
    words = "a b:0.1" if times > 1.0 else "a:0.1 b"
    assert f": superpose add {words} -o OUT" in pair_of((a, b)).judgement.next


def test_overlaps_of_both_sides_are_said_with_their_multiples_of_chance() -> None:
    pair = pair_of(made.common(Size()))
    outputs = f"outputs {pair.output_overlap:.3f}, {pair.output_overlap / pair.output_chance:.1f}"
    inputs = f"inputs {pair.input_overlap:.3f}, {pair.input_overlap / pair.input_chance:.1f}"
    said = f"Overlap of {outputs} times chance; of {inputs} times chance."
    assert said in pair.judgement.reason


@pytest.mark.parametrize("modules", [1, 2, 8, 50])
@pytest.mark.parametrize("chance", [0.01, 0.05, 0.1])
def test_outputs_are_crowded_beyond_a_quarter_and_what_chance_gives(
    modules: int, chance: float
) -> None:
    """Sides of rank 1 overlap by a mean that deviates by sqrt(2 / modules) times itself."""
    pair = pair_of(made.unrelated(Size(modules, 20, 20, 1)))
    four_deviations = chance + borders.CROWDED_SPREAD * chance * math.sqrt(2.0 / modules)
    least = max(borders.CROWDED, borders.CROWDED_CHANCE * chance, four_deviations)
    for times in (0.99, 1.01):
        one = replace(pair, output_overlap=times * least, output_chance=chance)
        assert is_crowded(one) is (times > 1.0)


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize(
    ("tensor", "said"), [("norm.bias", "--base org/base"), ("score.weight", "--heads none")]
)
def test_what_either_stores_whole_is_an_option_of_the_sum(
    which: tuple[int, ...], tensor: str, said: str
) -> None:
    """A head is left out; any other tensor, of whose own the sum has a share, needs the base."""
    held = Replacement((Part(1.0, Stored(np.ones(4, np.float32))),), tensor)
    two = [each.on_base("org/base") for each in made.disjoint(Size())]
    for at in which:
        two[at] = replace(two[at], replacements={held.key: held})
    step = pair_of((two[0], two[1])).judgement.next
    assert re.findall("-o OUT (.*)", step) == [said]


@pytest.mark.parametrize(
    ("width", "narrow", "found"), [(40, 40, True), (10, 40, False), (40, 10, False)]
)
def test_a_side_that_fills_its_space_is_no_evidence_of_a_part(
    width: int, narrow: int, found: bool
) -> None:
    """A sum of rank 6 in ten dimensions holds most of whatever is there."""
    pair = pair_of(made.part_of_a_sum(Size(4, width, narrow, 3)))
    assert (pair.contained is not None) is found


def test_beside_an_adapter_of_zeros_the_sum_has_the_energy_of_the_other() -> None:
    a, b = made.unrelated(Size())
    zero = Adapter((0.0 * b).deltas, "b")
    for two in ((a, zero), (zero, a)):
        assert pair_of(two).energy_shared == 0.0
    assert math.isnan(pair_of((zero, Adapter(zero.deltas, "again"))).energy_shared)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_no_module_s_cosine_is_past_one(sign: float) -> None:
    """Rounding carries some of a delta's products with its own double past those of the norms."""
    found = []
    for seed in range(8):
        a = made.random(Size(24, 30, 20, 3, seed), 0)
        found += [m.cosine for m in pair_of((a, Adapter((sign * 3.0 * a).deltas, "b"))).modules]
    assert np.abs(found).max() == 1.0
    assert sign * np.mean(found) > 0.999999
