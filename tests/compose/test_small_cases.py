"""Merge methods at their edges: nothing is read, nothing is left, or no float64 holds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.compose.battery import adapter
from tests.compose.test_regmean import INPUTS, KEYS, dense_of

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Rescaled
from superpose.compose import BestRank, CoreSpace, Knots, Ssr, Ties, merge
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput, Refused, SuperposeWarning
from superpose.lowrank import Term
from superpose.lowrank.second_moment import SecondMoment


def test_adapters_that_read_none_of_the_inputs_are_zero_in_ssr() -> None:
    """No input of any domain reaches what the adapters read: nothing tells them apart."""
    rng, parts, moments = np.random.default_rng(0), [], []
    for n in range(2):
        A = rng.standard_normal((2, 4)) @ np.eye(INPUTS)[:4]
        deltas = {key: Delta.of(rng.standard_normal((6, 2)), A) for key in KEYS}
        parts.append(Adapter(deltas, f"a{n}", "org/tiny"))
        C = SecondMoment.of(np.eye(INPUTS)[4:6].T @ np.eye(INPUTS)[4:6])
        moments.append(InputStatistics(dict.fromkeys(KEYS, C), "org/tiny", 1, 1))
    with pytest.warns(SuperposeWarning, match="adds nothing to the base model"):
        total = merge(parts, method=Ssr(tuple(moments), 0.01))
    for found in dense_of(total).values():
        assert not found.any()


def test_what_dora_rescales_is_refused_with_the_command_that_writes_it_as_deltas() -> None:
    one, other = adapter(0, "a0", 2), adapter(1, "a1", 2)
    key = next(iter(one))
    (term,) = one[key].terms
    value = Rescaled(np.ones(one[key].shape[0]), (Term(*term),))
    stored = Replacement((Part(1.0, value),), f"{key}.weight", place=Place(key))
    with pytest.raises(Refused) as refused:
        merge([replace(one, replacements={stored.key: stored}), other], method=Ties())
    assert "superpose add ADAPTER --base BASE --rank 16 -o PLAIN" in (refused.value.hint or "")


def test_a_result_beyond_float64_is_refused_by_its_module() -> None:
    large = [
        Adapter({"q": Delta.of(1e150 * np.ones((4, 1)), 1e157 * np.ones((1, 3)))}, f"a{n}")
        for n in range(2)
    ]
    with pytest.raises(BadInput, match="too large") as refused:
        merge(large, [10.0, 10.0], method=Ties())
    assert "q" in str(refused.value)


@pytest.mark.parametrize("method", [Knots(rule=Ties()), CoreSpace(rule=Ties())])
def test_of_zeros_the_rule_of_a_method_makes_zeros(method: Knots | CoreSpace) -> None:
    """Of a module that only one of two has, and that one adds nothing to."""
    one, other = adapter(0, "a0", 2), adapter(1, "a1", 2)
    first, *rest = KEYS
    zero = {first: one[first].scaled(0.0)}
    found = dense_of(
        merge(
            [
                replace(one, deltas={**one, **zero}),
                replace(other, deltas={**other, first: other[first].scaled(0.0)}),
            ],
            method=method,
        )
    )
    assert not found[first].any()
    assert all(found[key].any() for key in rest)


def test_a_rank_of_usual_size_and_back_leaves_no_infinite_number() -> None:
    """Each fits float64, and their sum does not: it is refused whatever it is cut to."""
    large = [
        Adapter({"q": Delta.of(1e154 * np.ones((4, 1)), 9e153 * np.ones((1, 3)))}, f"a{n}")
        for n in range(2)
    ]
    with pytest.raises(BadInput, match="too large") as refused:
        merge(large, [1.0, 1.0], method=BestRank(1))
    assert "q" in str(refused.value)
