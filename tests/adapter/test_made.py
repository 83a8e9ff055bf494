"""How an adapter was made goes with it, through every operation, and what it says is true."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from superpose.adapter import Adapter, Made

Build = Callable[..., Adapter]
Oracle = Callable[[Adapter], dict[str, np.ndarray]]

SHAPES = {"q": (24, 20, 6), "v": (16, 20, 5)}


@pytest.fixture
def pair(build: Build) -> tuple[Adapter, Adapter]:
    return build("math", 1, SHAPES), build("medicine", 2, SHAPES)


def share(part: dict[str, np.ndarray], whole: dict[str, np.ndarray]) -> float:
    """Energy of the best approximation over that of the whole, dense and in float64."""
    energies = [sum(float(np.sum(x * x)) for x in of.values()) for of in (part, whole)]
    return energies[0] / energies[1]


def best(whole: dict[str, np.ndarray], rank: int) -> dict[str, np.ndarray]:
    found = {}
    for key, matrix in whole.items():
        U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
        found[key] = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    return found


def test_an_adapter_as_it_was_given_and_an_exact_sum_have_nothing_to_say(
    pair: tuple[Adapter, Adapter],
) -> None:
    math, medicine = pair
    assert math.made == Made()
    total = math + 0.5 * medicine
    assert (total.made.method, total.made.exact, total.made.inputs) == ("sum", True, ())
    assert str(total.made) == "a weighted sum of deltas"
    assert total.made.plain
    assert ";" not in repr(total)
    assert total.title == total.name == "math + 0.5*medicine"


def test_a_best_approximation_says_its_rank_and_the_energy_that_numpy_finds(
    pair: tuple[Adapter, Adapter], oracle: Oracle
) -> None:
    total = pair[0] + 0.5 * pair[1]
    small = total.compress(4)
    whole = oracle(total)
    assert small.made.exact is False
    assert small.made.energy_kept == pytest.approx(share(best(whole, 4), whole), rel=1e-9)
    percent = f"{100 * share(best(whole, 4), whole):.2f} %"
    said = f"the best approximation of rank 4 of a weighted sum of deltas; it keeps {percent} of"
    assert str(small.made).startswith(said)
    assert said in repr(small)
    assert small.title == "math + 0.5*medicine, at rank 4"


def test_compressing_twice_keeps_what_compressing_once_keeps(
    pair: tuple[Adapter, Adapter], oracle: Oracle
) -> None:
    total = pair[0] - pair[1]
    twice = (-3.0 * total.compress(7)).compress(2)
    whole = oracle(total)
    assert twice.made.energy_kept == pytest.approx(share(best(whole, 2), whole), rel=1e-9)
    assert twice.made.of == "a weighted sum of deltas"
    assert dict(twice.made.settings) == {"rank": 2}
    assert twice.made.energy_kept == pytest.approx(share(oracle(twice), oracle(-3.0 * total)))


def test_the_energy_of_what_holds_an_approximation_is_of_that_and_the_inner_one_is_named(
    pair: tuple[Adapter, Adapter], oracle: Oracle
) -> None:
    math, medicine = pair
    mixed = (math + medicine).compress(3) + math
    assert mixed.made.exact is False  # of its parents 2*math and medicine
    ((name, inner),) = mixed.made.inputs
    assert (name, dict(inner.settings)) == ("math + medicine", {"rank": 3})
    assert "in it math + medicine is the best approximation of rank 3" in str(mixed.made)
    small = mixed.compress(2)
    assert small.made.energy_kept == pytest.approx(share(oracle(small), oracle(mixed)), rel=1e-9)
    assert small.made.inputs == mixed.made.inputs


def test_an_input_is_named_once_and_scaling_by_1_changes_nothing(
    pair: tuple[Adapter, Adapter],
) -> None:
    small = (pair[0] + pair[1]).compress(2)
    assert (small + small).made.inputs == ((small.name, small.made),)
    assert (1.0 * small).made == small.made
    assert (+small).made is small.made
    assert (2.0 * small).made == small.made
    assert (small - small).made.exact is False


def test_a_rank_that_leaves_nothing_out_stays_exact(pair: tuple[Adapter, Adapter]) -> None:
    assert (pair[0] + pair[1]).compress(12).made == (pair[0] + pair[1]).made
    whole = pair[0].compress(6).made
    assert (whole.exact, whole.energy_kept, str(whole)) == (
        True,
        None,
        "a copy of one adapter's deltas",
    )


def test_a_sum_of_zero_has_no_energy_to_keep(pair: tuple[Adapter, Adapter]) -> None:
    zero = (pair[0] - pair[0]).compress(1)
    assert (zero.made.exact, zero.made.energy_kept) == (True, None)


def test_nearly_all_of_the_energy_is_not_rounded_to_all(build: Build) -> None:
    x = np.diag([1.0, 1e-4])
    adapter = build("x", 1, {"q": (2, 2, 2)})
    made = Adapter({"q": type(adapter["q"]).of(x, np.eye(2))}).compress(1).made
    assert "it keeps all but 1e-08 of its energy" in str(made)


def test_weights_by_module_say_what_they_weigh(pair: tuple[Adapter, Adapter]) -> None:
    small = (pair[0] + pair[1]).compress(2)
    found = small.scaled_by_module(dict.fromkeys(small, 0.5))
    assert [name for name, _ in found.made.inputs] == [small.name]


def test_a_method_that_cuts_its_result_says_of_what_the_energy_is(
    pair: tuple[Adapter, Adapter],
) -> None:
    from superpose.compose import Sum

    total = pair[0] + pair[1]
    made = Sum().made_of(total, pair, "half of a weighted sum", 0.5)
    assert str(made).endswith("of deltas; cut to its rank it keeps 50.00 % of the energy")
