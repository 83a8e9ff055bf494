"""A header is believed only as far as the file reaches; nothing in it costs much time or memory."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import superpose
from superpose.errors import BadInput, SuperposeError
from superpose.formats.gguf.header import read_gguf_header

WriteLora = Callable[..., Path]
Factors = Callable[..., dict[str, np.ndarray]]


def head(version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def array(kind: int, length: int) -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, length)


def info(name: bytes, dimensions: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def test_it_reads_what_llama_cpps_own_reader_reads(write_lora: WriteLora, factors: Factors) -> None:
    tensors = factors("blk.0.attn_q") | factors("blk.10.ffn_down", out=8, seed=1)
    path = write_lora("a", tensors, alpha=3.5, general__name="a", superpose__x="é" * 300)
    header, theirs = read_gguf_header(path), gguf.GGUFReader(path)
    assert list(header.tensors) == [t.name for t in theirs.tensors]
    for tensor in theirs.tensors:
        ours = header.tensors[tensor.name]
        assert ours.shape == tuple(int(n) for n in tensor.shape[::-1])
        assert header.data + ours.offset == tensor.data_offset
    keys = {k: f.contents() for k, f in theirs.fields.items() if not k.startswith("GGUF.")}
    assert header.metadata == keys


HOSTILE = {
    "nothing": (b"", "not a GGUF file"),
    "four bytes": (b"GGUF", "truncated"),
    "another magic": (b"ABCD" + bytes(60), "not a GGUF file"),
    "the adapters of 2023": (b"algg" + bytes(60), "GGML adapter of 2023"),
    "a web page": (b"<!doctype html>" + bytes(60), "a web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "safetensors": (struct.pack("<Q", 40) + b'{"x": 1}' + bytes(32), "a safetensors file"),
    "version 1": (head(version=1), "version 1"),
    "version of the future": (head(version=4), "version 4"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "2^60 tensors": (head(tensors=1 << 60), "1,152,921,504,606,846,976 tensors"),
    "2^60 keys": (head(keys=1 << 60), "1,152,921,504,606,846,976 metadata keys"),
    "keys that are not there": (head(keys=9_999), "truncated"),
    "tensors that are not there": (head(tensors=199_999), "truncated"),
    "a string of 2^62": (head(keys=1) + struct.pack("<Q", 1 << 62), "at most 10,000,000"),
    "a string past the end": (head(keys=1) + struct.pack("<Q", 9_999), "truncated"),
    "no UTF-8": (head(keys=1) + text(b"\xff\xfe"), "no UTF-8"),
    "an unknown type": (head(keys=1) + text(b"k") + struct.pack("<I", 99), "unknown type 99"),
    "an array of 2^61 floats": (head(keys=1) + array(6, 1 << 61), "truncated"),
    "an array of 2^61 strings": (head(keys=1) + array(8, 1 << 61), "too many"),
    "an array in an array": (head(keys=1) + array(9, 3), "unknown type 9"),
    "an array of strings past the end": (head(keys=1) + array(8, 1000), "truncated"),
    "a key twice": (head(keys=2) + 2 * (text(b"k") + struct.pack("<IB", 0, 1)), "`k` twice"),
    "a tensor twice": (head(tensors=2) + 2 * info(b"t", (1,)), "`t` twice"),
    "a nameless tensor": (head(tensors=1) + info(b"", (1,)), "no tensor can be called"),
    "a long name": (head(tensors=1) + info(b"x" * 64, (1,)), "no tensor can be called"),
    "an unprintable name": (head(tensors=1) + info(b"a\nb", (1,)), "no tensor can be called"),
    "five dimensions": (head(tensors=1) + info(b"t", (1,) * 5), "5 dimensions"),
    "no dimensions": (head(tensors=1) + info(b"t", ()), "0 dimensions"),
    "2^124 values": (head(tensors=1) + info(b"t", (1 << 31,) * 4), "impossible shape"),
    "an odd alignment": (
        head(keys=1) + text(b"general.alignment") + struct.pack("<II", 4, 24),
        "no power of two",
    ),
    "a textual alignment": (
        head(keys=1) + text(b"general.alignment") + struct.pack("<I", 8) + text(b"32"),
        "no power of two",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, words = HOSTILE[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        superpose.load(path)
    assert str(path) in str(caught.value)


def test_what_is_passed_over_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "long.gguf"
    numbers = text(b"a") + struct.pack("<IIQ", 9, 0, 30_000_000) + bytes(30_000_000)
    strings = text(b"b") + struct.pack("<IIQ", 9, 8, 100_000) + 100_000 * text(b"token")
    path.write_bytes(head(keys=2) + numbers + strings)
    tracemalloc.start()
    assert read_gguf_header(path).metadata == {"a": None, "b": None}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "value",
    [struct.pack("<I", 8) + text(b"x" * 900_000), struct.pack("<IIQ", 9, 4, 4096) + bytes(16_384)],
    ids=["strings", "numbers"],
)
def test_more_metadata_than_fits_in_memory_is_refused(value: bytes, tmp_path: Path) -> None:
    path = tmp_path / "much.gguf"
    path.write_bytes(head(keys=600) + b"".join(text(b"%d" % n) + value for n in range(600)))
    tracemalloc.start()
    with pytest.raises(BadInput, match="more metadata"):
        read_gguf_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_superposes_own_words(
    data: st.DataObject, tmp_path: Path, write_lora: WriteLora, factors: Factors
) -> None:
    path = tmp_path / "whole.gguf"
    if not path.exists():
        write_lora("whole", factors("blk.0.attn_v") | factors("token_embd", 8, 8), alpha=4.0)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 700))
        size = data.draw(st.sampled_from([1, 4, 8]))
        raw[at : at + size] = data.draw(st.binary(min_size=size, max_size=size))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(raw))))
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(bytes(raw[:cut]))
    try:
        adapter = superpose.load(damaged)
    except SuperposeError:
        return
    assert all(
        np.isfinite(t.B).all() and np.isfinite(t.A).all() for d in adapter.values() for t in d.terms
    )
