"""Safetensors files are read as the library reads them, and lies in them are found."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import load_file, save_file

from superpose.errors import BadInput, SuperposeError
from superpose.files import open_tensors, read_header, write_tensors
from superpose.files.finite import CHUNK, all_finite
from superpose.files.header import MAX_HEADER

DTYPES = {
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
    "bfloat16": ml_dtypes.bfloat16,
}


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_library_reads_what_is_written_and_the_other_way_round(
    dtype: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5)).astype(DTYPES[dtype])
    y = np.asfortranarray(rng.normal(size=(4, 2)).astype(DTYPES[dtype]))
    write_tensors(tmp_path / "ours", {"b": x, "a": y}, {"format": "pt", "superpose": "{}"})
    with safe_open(tmp_path / "ours", "np") as file:
        assert file.metadata() == {"format": "pt", "superpose": "{}"}
    theirs = load_file(tmp_path / "ours")
    again = open_tensors(tmp_path / "ours").read()
    for name, right in {"b": x, "a": y}.items():
        assert theirs[name].dtype == again.tensors[name].dtype == right.dtype
        assert theirs[name].tobytes() == again.tensors[name].tobytes() == right.tobytes()
    save_file({"b": x, "a": np.ascontiguousarray(y)}, tmp_path / "theirs")
    assert open_tensors(tmp_path / "theirs").read().tensors["b"].tobytes() == x.tobytes()


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"x": np.ones(3, np.float32)}
    notes = {f"key{i}": str(i) for i in range(9)}
    write_tensors(tmp_path / "one", tensors, notes)
    write_tensors(tmp_path / "two", tensors, notes)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_was_read_cannot_be_written_into_and_outlives_its_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", {"x": np.ones(4, np.float32)}, {})
    x = open_tensors(tmp_path / "f").read().tensors["x"]
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 2
    (tmp_path / "f").write_bytes(b"")
    assert x.sum() == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no umask")
def test_a_file_is_readable_to_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "f", {"x": np.ones(4, np.float32)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


GOOD = raw({"x": entry()}, bytes(8))

LIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a safetensors file"),
    "short": (b"\x01\x02", "not a safetensors file"),
    "huge length": (raw({}, length=2**63), "truncated"),
    "length beyond the file": (raw({"x": entry()}, bytes(8), length=500), "truncated"),
    "cut in the header": (GOOD[:20], "truncated"),
    "cut in the data": (GOOD[:-1], "truncated"),
    "more than announced": (GOOD + b"\0", "belong to none"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "zip pickle": (b"PK\x03\x04" + bytes(60), "pickle"),
    "old pickle": (b"\x80\x02}q" + bytes(60), "pickle"),
    "gguf": (b"GGUF" + bytes(60), "GGUF"),
    "web page": (b"<!DOCTYPE html><html>" + bytes(60), "web page"),
    "not json": (raw(b"{'x'}"), "not readable"),
    "not utf-8": (raw(b'{"\xff": 1}'), "not readable"),
    "deep": (raw(b'{"a":' * 100_000), "not readable"),
    "twice": (raw(b'{"x":{},"x":{}}'), "twice"),
    "a number": (raw({"x": 1}), "nothing usable about tensor `x`"),
    "unknown dtype": (raw({"x": entry("F31")}, bytes(8)), "unknown dtype 'F31'"),
    "dtype is a list": (raw({"x": entry()} | {"x": {"dtype": []}}, bytes(8)), "unknown dtype"),
    "negative shape": (raw({"x": entry(shape=(-2,))}, bytes(8)), "no usable shape"),
    "shape of floats": (raw({"x": entry(shape=(2.0,))}, bytes(8)), "no usable shape"),
    "shape of booleans": (raw({"x": entry(shape=(True, 2))}, bytes(8)), "no usable shape"),
    "three offsets": (raw({"x": entry(offsets=(0, 8, 8))}, bytes(8)), "no usable shape"),
    "backwards": (raw({"x": entry(offsets=(8, 0))}, bytes(8)), "wrong space"),
    "wrong size": (raw({"x": entry(shape=(3,))}, bytes(8)), "wrong space"),
    "enormous shape": (raw({"x": entry(shape=(2**40, 2**40))}, bytes(8)), "wrong space"),
    "overlap": (raw({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)), "does not start"),
    "hole": (raw({"x": entry(), "y": entry(offsets=(12, 20))}, bytes(20)), "does not start"),
    "name too long": (raw({"x" * 1025: entry()}, bytes(8)), "1,025 characters"),
    "name with a line break": (raw({"x\ny": entry()}, bytes(8)), r"tensor 'x\ny'"),
    "half a character": (raw({"x\ud800": entry()}, bytes(8)), r"`x\ud800` holds half"),
    "half in metadata": (raw({"__metadata__": {"a": "\udcff"}}), "`a` holds half"),
    "many dimensions": (raw({"x": entry(shape=[1] * 33)}, bytes(4)), "33 dimensions"),
    "metadata of numbers": (raw({"__metadata__": {"a": 1}}), "mapping of strings"),
    "integers": (raw({"x": entry("I32")}, bytes(8)), "tensor `x` is I32"),
    "scales alone": (raw({"x": entry("F8_E8M0", (8,))}, bytes(8)), "tensor `x` is F8_E8M0"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_a_file_that_is_something_else_or_lies_is_named(case: str, tmp_path: Path) -> None:
    content, words = LIES[case]
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        open_tensors(path).read()
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_header_larger_than_any_adapters_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.write(raw(b'{"', length=MAX_HEADER + 1))
        file.truncate(MAX_HEADER + 9)
    with pytest.raises(BadInput, match=r"header of 24,000,001 bytes.*\n.*100 MB") as caught:
        read_header(path)
    assert caught.value.where == str(path)


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(raw({"__metadata__": {"a": "😀"}}))
    assert read_header(tmp_path / "f").metadata == {"a": "😀"}


def test_a_missing_file_a_folder_and_a_pipe_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        open_tensors(tmp_path / "gone").read()
    with pytest.raises(BadInput, match="not a file"):
        open_tensors(tmp_path).read()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(BadInput, match="not a file"):
            open_tensors(tmp_path / "pipe").read()


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I8", "F9"]),
                "shape": st.lists(st.integers(0, 3), max_size=2),
                "data_offsets": st.lists(st.integers(0, 24), min_size=2, max_size=2),
            }
        )
        for name in ("x", "y")
    },
)


@settings(max_examples=400, deadline=None)
@given(HEADERS, st.integers(0, 24))
def test_a_header_is_believed_exactly_when_the_library_believes_it(
    tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any], size: int
) -> None:
    content = raw(header, bytes(size))
    path = tmp_path_factory.mktemp("h") / "f"
    path.write_bytes(content)
    try:
        theirs = {name: tuple(info["shape"]) for name, info in deserialize(content)}
    except SafetensorError:
        with pytest.raises(BadInput):
            read_header(path)
    else:
        assert {n: e.shape for n, e in read_header(path).entries.items()} == theirs


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_damage_to_a_file_gives_anything_but_tensors_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(raw({"x": entry(), "y": entry("BF16", (2, 2), (8, 16))}, bytes(16)))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    path = tmp_path_factory.mktemp("d") / "f"
    path.write_bytes(damaged)
    where: object = path
    try:
        open_tensors(path).read()
    except SuperposeError as error:
        where = error.where
    assert str(where) == str(path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf], ids=repr)
def test_one_value_that_is_not_finite_is_found_wherever_it_stands(dtype: str, bad: float) -> None:
    size = 2 * CHUNK + 3
    for place in (0, CHUNK - 1, CHUNK, size - 1):
        x = np.full(size, -1.5, np.float32).astype(DTYPES[dtype])
        x[place] = bad
        assert not all_finite(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_and_smallest_finite_values_are_finite(dtype: str) -> None:
    info = ml_dtypes.finfo(DTYPES[dtype])
    x = np.array([info.max, info.min, info.smallest_subnormal, 0.0, -0.0], DTYPES[dtype])
    assert all_finite(x)
    assert all_finite(x[:0])


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=16, max_size=64), st.sampled_from(sorted(DTYPES)))
def test_finite_means_what_numpy_means_for_any_bits(data: bytes, dtype: str) -> None:
    kind = np.dtype(DTYPES[dtype])
    x = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind)
    with np.errstate(invalid="ignore"):
        assert all_finite(x) == bool(np.isfinite(x).all())


def test_nan_names_the_file_the_tensor_and_how_many(tmp_path: Path) -> None:
    x = np.ones((2, 3), np.float32)
    x[0, :2] = np.nan, np.inf
    write_tensors(tmp_path / "f", {"fine": np.ones(2, np.float32), "broken": x}, {})
    with pytest.raises(BadInput, match=r"tensor `broken` .*2 of 6 values") as caught:
        open_tensors(tmp_path / "f").read()
    assert caught.value.where == str(tmp_path / "f")


@pytest.mark.parametrize("bits", [0x7FA00000, 0xFFA00000, 0x7F800001])
def test_a_nan_that_casts_complain_of_is_an_error_by_name_too(tmp_path: Path, bits: int) -> None:
    x = np.array([0x3F800000, bits], np.uint32).view(np.float32)
    path = tmp_path / "f"
    write_tensors(path, {"broken": np.ones(2, np.float32)}, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: -x.nbytes] + x.tobytes())
    with pytest.raises(BadInput, match=r"tensor `broken` .*1 of 2 values"):
        open_tensors(path).read()


def test_a_file_that_is_another_one_than_its_header_said_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_tensors(path, {"x": np.ones(3, np.float32)}, {})
    file = open_tensors(path)
    assert file.header.shapes == {"x": (3,)}
    assert not file.tensors
    path.unlink()
    write_tensors(path, {"y": np.zeros(3, np.float32)}, {})
    with pytest.raises(BadInput, match="was written anew while it was read"):
        file.read()


def test_whole_numbers_are_read_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "alpha.safetensors"
    save_file({"alpha": np.array(4, dtype=np.int64), "x": np.ones(3, np.float16)}, path)
    assert open_tensors(path).read(integers=True).tensors["alpha"] == 4
    with pytest.raises(BadInput, match="`alpha` is I64"):
        open_tensors(path).read()


def test_an_interrupt_at_any_call_of_reading_comes_out_as_one(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": np.ones((2, 3), np.float32)}, {})
    calls = 0
    while not _read_until(path, calls):
        calls += 1
    assert calls > 20


def _read_until(path: Path, left: int) -> bool:
    """Whether a file is read before so many calls of Python were made; if not, Ctrl-C is next."""

    def interrupt(_: FrameType, event: str, __: object) -> None:
        nonlocal left
        left -= event == "call"
        if left < 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        open_tensors(path).read()
    except KeyboardInterrupt:
        return False
    finally:
        sys.setprofile(None)
    return True
