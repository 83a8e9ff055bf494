"""What is told of how modules agree is what their cosines, floors and inner products give."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.interference import borders
from superpose.interference.agreement import agreement


def far_beyond(cosines: np.ndarray, floors: np.ndarray) -> set[int]:
    """The few modules that stand out, as the borders define them."""
    typical = float(np.median(np.maximum(np.abs(cosines), floors)))
    out = {
        m
        for m, (cosine, floor) in enumerate(zip(np.abs(cosines), floors, strict=True))
        if cosine >= borders.STANDS_OUT * typical
        and cosine >= borders.STANDS_OUT_LEAST
        and cosine >= borders.STANDS_OUT_CHANCE * floor
    }
    return out if len(out) <= borders.FEW * len(cosines) else set()


def test_those_that_stand_out_are_the_few_far_beyond_the_median() -> None:
    """Of odd and even numbers of modules, with the border on either side of their largest."""
    found = set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(5, 16))
        cosines = 10.0 ** rng.uniform(-2.5, -1.0, count) * rng.choice([-1.0, 1.0], count)
        cosines[rng.integers(count)] = rng.uniform(0.05, 0.5)
        floors = np.full(count, 0.005) * rng.choice([1.0, 4.0], count)
        names = np.array([f"m{n}" for n in range(count)], dtype=object)
        told = agreement(names, cosines, floors, cosines, 1.0).standing_out
        expected = far_beyond(cosines, floors)
        assert set(told) == {f"m{n}" for n in expected}, seed
        assert list(told) == sorted(told, key=lambda name: -abs(cosines[int(name[1:])]))
        found.add(len(expected))
    assert found >= {0, 1}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_cosine_of_the_rest_is_never_past_one(sign: float) -> None:
    """Rounding carries a sum of inner products past the product of the norms."""
    past = np.array([sign * (1.0 + 1e-15)])
    found = agreement(np.array(["m"]), np.array([sign]), np.array([0.01]), past, 1.0)
    assert found.rest_cosine == sign
