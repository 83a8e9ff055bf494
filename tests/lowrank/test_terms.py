"""Widening is exact, and shape, rank and dense delta follow from the factors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from superpose.lowrank import Term, dense, rank, shape, upcast
from superpose.lowrank.terms import dtype_name


def test_dense_is_the_sum_of_scaled_products(draw, oracle, plain):
    terms = draw(3, 2)
    np.testing.assert_allclose(plain(dense(terms)), oracle(terms), rtol=1e-5, atol=1e-5)


def test_shape_and_rank_come_from_the_factors(draw):
    terms = draw(3, 2, shape=(5, 9))
    assert shape(terms) == (5, 9)
    assert rank(terms) == 5


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_widening_a_half_to_float32_is_exact(half):
    every_pattern = np.arange(2**16, dtype=np.uint16).view(half)
    finite = every_pattern[np.isfinite(every_pattern.astype(np.float32))]
    wide = upcast(finite)
    assert wide.dtype == np.float32
    assert np.array_equal(wide.astype(half).view(np.uint16), finite.view(np.uint16))


def test_torch_bfloat16_widens_too():
    x = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    assert upcast(x).dtype == torch.float32
    assert upcast(x).tolist() == [1.5, -2.0]


def test_what_is_wide_enough_is_not_copied(make):
    x = make(np.ones((2, 2), dtype="float64"))
    assert upcast(x) is x
    assert upcast(x, "float64") is x


def test_float64_is_never_narrowed(draw):
    assert "float64" in str(dense(draw(2, dtype="float64")).dtype)


def test_factors_of_two_array_libraries_do_not_mix(draw):
    with pytest.raises(TypeError):
        dense((Term(1.0, np.ones((2, 1)), np.ones((1, 2))), Term(1.0, *[torch.ones(2, 2)] * 2)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_dtype_is_named_as_numpy_names_it(dtype):
    assert dtype_name(np.ones((2, 2), getattr(ml_dtypes, dtype, dtype))) == dtype
    assert dtype_name(torch.ones((2, 2), dtype=getattr(torch, dtype))) == dtype
