"""Rows of q and k: transformers pairs components i and i + d/2, llama.cpp 2i and 2i + 1."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.adapter import Delta
from superpose.errors import BadInput
from superpose.formats.gguf.rows import halved, interleaved


def delta(rows: int) -> Delta:
    rng = np.random.default_rng(rows)
    return Delta.of(rng.normal(size=(rows, 2)), rng.normal(size=(2, 5)), 0.5)


def test_a_heads_pairs_become_neighbours() -> None:
    heads, size = 3, 8
    before = delta(heads * size)
    B = before.terms[0].B.reshape(heads, size, 2)
    found = interleaved(before, heads, "q").terms[0].B.reshape(heads, size, 2)
    for i in range(size // 2):
        np.testing.assert_array_equal(found[:, 2 * i], B[:, i])
        np.testing.assert_array_equal(found[:, 2 * i + 1], B[:, i + size // 2])


@pytest.mark.parametrize(("rows", "heads"), [(2, 1), (24, 3), (48, 4), (64, 1)])
def test_both_ways_give_back_the_delta_and_share_its_inputs(rows: int, heads: int) -> None:
    before = delta(rows)
    after = halved(interleaved(before, heads, "q"), heads, "q")
    np.testing.assert_array_equal(after.terms[0].B, before.terms[0].B)
    assert after.terms[0].A is before.terms[0].A
    assert after.terms[0].coefficient == 0.5


def test_rows_that_heads_cannot_share_are_of_another_base() -> None:
    with pytest.raises(BadInput, match=r"`blk\.0\.attn_q` has 24 rows, which 5 heads cannot share"):
        interleaved(delta(24), 5, "blk.0.attn_q")
