"""Tensors in memory are held to what a file is: its dtypes, and values that are finite."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from superpose.errors import BadInput
from superpose.files.held import HeldTensors
from superpose.files.tensors import open_tensors, write_tensors

DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64)


def test_they_are_what_a_file_of_them_announces_and_holds(tmp_path: Path) -> None:
    own = {np.dtype(d).name: np.arange(6).reshape(2, 3).astype(d) for d in DTYPES}
    write_tensors(tmp_path / "f", own, {})
    file, held = open_tensors(tmp_path / "f").read(), HeldTensors.of(own).read()
    assert held.header.shapes == file.header.shapes
    assert {n: e.dtype for n, e in held.header.entries.items()} == {
        n: e.dtype for n, e in file.header.entries.items()
    }
    for name, tensor in own.items():
        assert held.tensors[name] is tensor
        np.testing.assert_array_equal(file.tensors[name], tensor)


def test_a_dtype_that_no_adapter_has_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"tensor `x` is complex64; factors are float32, float16"):
        HeldTensors.of({"x": np.ones(2, np.complex64)})


def test_whole_numbers_are_held_only_where_they_are_asked_for() -> None:
    held = HeldTensors.of({"count": np.array(4, np.int64), "x": np.ones(3, np.float16)})
    assert held.read(integers=True).tensors["count"] == 4
    with pytest.raises(BadInput, match="`count` is int64; factors are floats"):
        held.read()


def test_a_value_that_is_not_finite_names_its_tensor() -> None:
    held = HeldTensors.of({"x": np.array([1.0, np.nan], np.float32)})
    with pytest.raises(BadInput, match=r"tensor `x` .*1 of 2 values"):
        held.read()
