"""A GGUF model plus a sum: each tensor is base + change rounded once, and all else is the base's.

The base's files are written by llama.cpp's own package, and what comes out is read by it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta, Place
from superpose.errors import BadInput, BadSetting, DifferentBase, OutputExists, Refused
from superpose.formats.gguf.model import bake_gguf
from superpose.formats.gguf.rows import interleaved

WIDTH, HEADS, KV, ROWS = 256, 4, 2, 48  # K-quants have blocks of 256
SHAPES = {
    "token_embd": (ROWS, WIDTH),
    "blk.0.attn_q": (WIDTH, WIDTH),
    "blk.0.attn_k": (WIDTH // 2, WIDTH),
    "blk.0.ffn_down": (WIDTH, 2 * WIDTH),
    "output": (ROWS, WIDTH),
}
Q, DOWN = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"
WriteModel = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Write a model's GGUF file: a type for all matrices, or one for some; None leaves out."""

    def write(
        kind: Type = Type.F32, *, name: str = "base", tied: bool = False, **more: Any
    ) -> Path:
        path, rng = tmp_path / f"{name}.gguf", np.random.default_rng(0)
        writer = gguf.GGUFWriter(path, more.pop("architecture", "llama"))
        writer.add_type("model")
        writer.add_name(more.pop("title", "Tiny Llama"))
        writer.add_head_count(HEADS)
        writer.add_head_count_kv(KV)
        writer.add_token_list([f"token {n}" for n in range(ROWS)])
        writer.add_array("test.numbers", [1, 2, 3])
        for key, value in more.pop("keys", {}).items():
            writer.add_uint16(key, value)
        kinds = more.pop("kinds", {})
        for tensor, shape in SHAPES.items():
            if tensor != "output" or not tied:
                own = kinds.get(tensor, kind)
                raw = pack(rng.normal(size=shape).astype(np.float32), own)
                writer.add_tensor(f"{tensor}.weight", raw, raw_dtype=own)
        writer.add_tensor("blk.0.attn_norm.weight", rng.normal(size=WIDTH).astype(np.float32))
        writer.add_tensor("blk.0.attn_q.bias", rng.normal(size=WIDTH).astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def pack(values: np.ndarray, kind: Type) -> np.ndarray:
    """Values as llama.cpp's package packs them; of what it does not write, any bytes."""
    try:
        return gguf.quants.quantize(values, kind)
    except NotImplementedError:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        return np.zeros((len(values), values.shape[1] // block * size), np.uint8)


def values(path: Path) -> dict[str, np.ndarray]:
    """Every tensor's values as llama.cpp's package reads them, float64."""
    return {
        t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)
        for t in gguf.GGUFReader(path).tensors
    }


def raw(path: Path) -> dict[str, tuple[Type, bytes]]:
    return {t.name: (t.tensor_type, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


def fields(path: Path) -> dict[str, Any]:
    found = gguf.GGUFReader(path).fields
    return {k: f.contents() for k, f in found.items() if not k.startswith("GGUF.")}


def adapter(*keys: str, size: float = 0.1, seed: int = 1, base: str = "org/tiny-llama") -> Adapter:
    """Random changes of these modules; of `model.embed_tokens` an embedding's."""
    rng, deltas = np.random.default_rng(seed), {}
    shapes = {
        Q: SHAPES["blk.0.attn_q"],
        "model.layers.0.self_attn.k_proj": SHAPES["blk.0.attn_k"],
        DOWN: SHAPES["blk.0.ffn_down"],
        "lm_head": SHAPES["output"],
        "model.embed_tokens": SHAPES["token_embd"][::-1],
    }
    for key in keys or (Q, DOWN):
        out, width = shapes[key]
        B, A = rng.normal(size=(out, 3)), size * rng.normal(size=(3, width))
        place = Place(key, kind="embedding") if "embed" in key else None
        deltas[key] = Delta.of(B.astype(np.float32), A.astype(np.float32), 0.7, place)
    return Adapter(deltas, name="some", base_model=base)


def dense(delta: Delta) -> np.ndarray:
    return sum(t.coefficient * t.B.astype(np.float64) @ t.A.astype(np.float64) for t in delta.terms)


def expected_change(some: Adapter) -> dict[str, np.ndarray]:
    """What is to be added to each tensor: rows of q and k in llama.cpp's order."""
    k = "model.layers.0.self_attn.k_proj"
    found = {}
    for key, delta in some.items():
        if key == "model.embed_tokens":
            found["token_embd.weight"] = dense(delta).T
        else:
            heads = {Q: HEADS, k: KV}.get(key)
            own = interleaved(delta, heads, key) if heads else delta
            name = {Q: "blk.0.attn_q", k: "blk.0.attn_k", DOWN: "blk.0.ffn_down"}.get(key, "output")
            found[f"{name}.weight"] = dense(own)
    return found


HALF_UNIT = {Type.F32: 2.0**-24, Type.F16: 2.0**-11, Type.BF16: 2.0**-8}


@pytest.mark.parametrize("kind", HALF_UNIT)
@pytest.mark.parametrize("blocks", [1 << 20, 100])
def test_a_tensor_of_numbers_is_base_plus_change_rounded_once(
    kind: Type, blocks: int, write_model: WriteModel, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("superpose.formats.gguf.model_rows.BLOCK", blocks)
    base, some = write_model(kind), adapter(Q, "model.layers.0.self_attn.k_proj", DOWN, "lm_head")
    made = bake_gguf(base, some, tmp_path / "made.gguf")
    before, after, change = values(base), values(made.path), expected_change(some)
    assert (made.changed, made.requantised, made.untied) == (4, 0, False)
    for name, tensor in after.items():
        right = before[name] + change.get(name, 0.0)
        size = np.abs(before[name]) + np.abs(change.get(name, 0.0)).max()
        allowed = HALF_UNIT[kind] * np.abs(right) + 2.0**-22 * size
        assert (np.abs(tensor - right) <= allowed).all(), name
    assert list(after) == list(before)


def test_all_that_nothing_changes_is_the_bases_own_byte_for_byte(
    write_model: WriteModel, tmp_path: Path
) -> None:
    base = write_model(Type.Q4_K, kinds={"blk.0.ffn_down": Type.Q8_0})
    made = bake_gguf(base, adapter(DOWN), tmp_path / "made.gguf")
    before, after = raw(base), raw(made.path)
    assert [n for n in before if before[n] != after[n]] == ["blk.0.ffn_down.weight"]
    noted, own = fields(made.path), fields(base)
    assert '"parents"' in noted.pop("superpose")
    assert noted == own
    assert made.path.stat().st_size == made.bytes


@pytest.mark.parametrize(
    "kind", [Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.TQ2_0, Type.MXFP4]
)
def test_a_quantised_tensor_is_quantised_anew_and_what_it_costs_is_said(
    kind: Type, write_model: WriteModel, tmp_path: Path
) -> None:
    base, some = write_model(kind), adapter(DOWN, size=0.1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = bake_gguf(base, some, tmp_path / "made.gguf")
    assert made.lost is not None
    assert [str(w.message).partition(": ")[2][:14] for w in said] == ["rounding takes"] * (
        made.lost > 0.5
    )
    name = "blk.0.ffn_down.weight"
    right = (values(base)[name] + expected_change(some)[name]).astype(np.float32)
    own = raw(base)[name][0]
    assert raw(made.path)[name] == (own, gguf.quants.quantize(right, own).tobytes())
    off = np.linalg.norm(values(made.path)[name] - right)
    assert made.lost == pytest.approx(off / np.linalg.norm(expected_change(some)[name]), rel=1e-4)


@pytest.mark.parametrize("kind", [Type.Q4_K, Type.Q6_K, Type.IQ4_NL])
def test_a_type_that_cannot_be_written_is_named_and_the_way_out_works(
    kind: Type, write_model: WriteModel, tmp_path: Path
) -> None:
    base, some, out = write_model(Type.F16, kinds={"blk.0.ffn_down": kind}), adapter(), tmp_path
    with pytest.raises(Refused, match=rf"`blk\.0\.ffn_down\.weight` is {kind.name}, which") as no:
        bake_gguf(base, some, out / "made.gguf")
    assert "--dtype float16" in str(no.value)
    assert not list(out.glob("*made*"))
    made = bake_gguf(base, some, out / "made.gguf", dtype="float16")
    assert dict(made.types) == {"float16": 2}
    name = "blk.0.ffn_down.weight"
    right = values(base)[name] + expected_change(some)[name]
    assert np.allclose(values(made.path)[name], right, rtol=2**-10, atol=1e-6)


@pytest.mark.parametrize("keys", [("lm_head",), ("model.embed_tokens",)])
def test_one_end_of_tied_weights_parts_them(
    keys: tuple[str, ...], write_model: WriteModel, tmp_path: Path
) -> None:
    base, some = write_model(Type.Q8_0, tied=True), adapter(*keys, size=1.0)
    made = bake_gguf(base, some, tmp_path / "made.gguf")
    assert (made.untied, made.new, made.changed) == (True, ("output.weight",), 1)
    before, after = raw(base)["token_embd.weight"], raw(made.path)
    ends = {"lm_head": "output.weight", "model.embed_tokens": "token_embd.weight"}
    for key, name in ends.items():
        if key not in keys:
            assert after[name] == before
            continue
        right = values(base)["token_embd.weight"] + expected_change(some)[name]
        packed = gguf.quants.quantize(right.astype(np.float32), Type.Q8_0)
        assert after[name] == (Type.Q8_0, packed.tobytes())


def test_ends_that_change_as_one_stay_one(write_model: WriteModel, tmp_path: Path) -> None:
    some = adapter("model.embed_tokens")
    both = Adapter(some.deltas, name="both", tied={"lm_head": "model.embed_tokens"})
    tied = bake_gguf(write_model(tied=True), both, tmp_path / "tied.gguf")
    assert (tied.untied, tied.new) == (False, ())
    base = write_model(name="untied")
    made = bake_gguf(base, both, tmp_path / "made.gguf")
    change = expected_change(some)["token_embd.weight"]
    for name in ("token_embd.weight", "output.weight"):
        assert np.allclose(values(made.path)[name] - values(base)[name], change, atol=1e-5)


def test_an_end_of_its_own_is_refused_where_llama_cpp_knows_none(
    write_model: WriteModel, tmp_path: Path
) -> None:
    base = write_model(tied=True, architecture="gemma")
    with pytest.raises(Refused, match=r"llama.cpp knows no output layer of gemma's own"):
        bake_gguf(base, adapter("model.embed_tokens"), tmp_path / "made.gguf")


def test_a_bias_goes_the_way_of_its_rows(write_model: WriteModel, tmp_path: Path) -> None:
    bias = np.arange(WIDTH, dtype=np.float32)[:, None]
    place = Place(Q, "bias", "bias")
    some = Adapter({place.key: Delta.of(bias, np.ones((1, 1), np.float32), 1.0, place)}, name="b")
    base = write_model()
    made = bake_gguf(base, some, tmp_path / "made.gguf")
    rows = interleaved(Delta.of(bias, np.ones((1, 1), np.float32)), HEADS, Q).terms[0].B[:, 0]
    found = values(made.path)["blk.0.attn_q.bias"] - values(base)["blk.0.attn_q.bias"]
    assert np.allclose(found, rows, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*rounding takes")  # of changes that are next to nothing
@settings(max_examples=25)
@given(
    weights=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=3),
    kind=st.sampled_from([Type.F32, Type.F16, Type.BF16, Type.Q8_0]),
)
def test_what_comes_out_less_the_base_is_the_sum_within_rounding(
    weights: list[float], kind: Type, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    base = write_model.__wrapped__(folder)(kind)  # type: ignore[attr-defined]
    total = sum((w * adapter(seed=n) for n, w in enumerate(weights)), 0.0 * adapter(seed=9))
    made = bake_gguf(base, total, folder / "made.gguf")
    before, after, change = values(base), values(made.path), expected_change(total)
    for name in ("blk.0.attn_q.weight", "blk.0.ffn_down.weight"):
        right = before[name] + change[name]
        most = np.abs(right).max()
        unit = {**HALF_UNIT, Type.Q8_0: 0.6 / 127}[kind]
        assert np.abs(after[name] - right).max() <= unit * most + 2.0**-20 * (1 + most)


def test_what_is_no_such_model_is_refused(write_model: WriteModel, tmp_path: Path) -> None:
    out, base = tmp_path / "made.gguf", write_model()
    wide = Adapter({Q: Delta.of(np.ones((WIDTH, 1)), np.ones((1, 2 * WIDTH)))}, name="wide")
    deep = Adapter(
        {"model.layers.7.mlp.down_proj": Delta.of(np.ones((WIDTH, 1)), np.ones((1, 2 * WIDTH)))},
        name="deep",
    )
    cases: list[tuple[Path, Adapter, type, str]] = [
        (base, adapter(base="org/quite-another"), DifferentBase, "calls itself Tiny Llama"),
        (base, wide, DifferentBase, r"`blk\.0\.attn_q\.weight` has shape \(256, 256\)"),
        (base, deep, BadInput, r"has no tensor `blk\.7\.ffn_down\.weight`"),
        (write_model(name="odd", architecture="mamba"), adapter(), Refused, "mamba"),
        (write_model(name="part", keys={"split.count": 3}), adapter(), Refused, "one of 3 parts"),
    ]
    for path, some, error, said in cases:
        with pytest.raises(error, match=said):
            bake_gguf(path, some, out)
        assert not list(tmp_path.glob("*made*"))
    assert bake_gguf(base, adapter(base="org/quite-another"), out, same_base=True).changed == 2


def test_a_base_that_says_nothing_of_itself_is_taken(
    write_model: WriteModel, tmp_path: Path
) -> None:
    base = write_model(title="Model")
    assert bake_gguf(base, adapter(base="org/any"), tmp_path / "made.gguf").changed == 2


def test_a_value_beyond_its_type_is_named_and_nothing_is_left(
    write_model: WriteModel, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="would hold a value beyond float16"):
        bake_gguf(write_model(Type.F16), adapter(size=1e6), tmp_path / "made.gguf")
    assert not list(tmp_path.glob("*made*"))


def test_a_disk_without_room_is_told_of_the_output_and_nothing_is_left(
    write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_model()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(BadInput, match=r"new/made\.gguf: .* the disk has 0\.00 MB free"):
        bake_gguf(base, adapter(), tmp_path / "new" / "made.gguf")
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_cut_off_leaves_nothing(write_model: WriteModel, tmp_path: Path) -> None:
    base = write_model()
    os.truncate(base, base.stat().st_size - 30_000)
    with pytest.raises(BadInput, match=r"base.gguf: .*(truncated|does not lie within)"):
        bake_gguf(base, adapter(), tmp_path / "made.gguf")
    assert not list(tmp_path.glob("*made*"))


def test_a_base_that_is_cut_off_while_it_is_copied_leaves_nothing(
    write_model: WriteModel, tmp_path: Path
) -> None:
    base = write_model()
    begin = gguf.GGUFReader(base).tensors[-1].data_offset

    def cut(*_: int) -> None:
        os.truncate(base, begin + 10)

    with pytest.raises(BadInput, match=r"truncated: tensor `blk\.0\.attn_q\.bias` goes on behind"):
        bake_gguf(base, adapter(DOWN), tmp_path / "made.gguf", progress=cut)
    assert [path.name for path in tmp_path.iterdir()] == [base.name]


def test_only_what_bake_wrote_is_replaced_and_never_the_base(
    write_model: WriteModel, tmp_path: Path
) -> None:
    base, some = write_model(), adapter()
    other = write_model(name="other")
    with pytest.raises(OutputExists, match="already exists"):
        bake_gguf(base, some, other)
    with pytest.raises(OutputExists, match="no model that superpose baked"):
        bake_gguf(base, some, other, force=True)
    with pytest.raises(BadInput, match="is the base model itself"):
        bake_gguf(base, some, base, force=True)
    (tmp_path / "link.gguf").symlink_to(base)
    with pytest.raises(BadInput, match="is the base model itself"):
        bake_gguf(base, some, tmp_path / "link.gguf", force=True)
    first = bake_gguf(base, some, tmp_path / "made.gguf")
    again = bake_gguf(first.path, some, tmp_path / "twice.gguf")  # with one note, not two
    bake_gguf(base, some, first.path, force=True)
    assert fields(again.path).keys() == fields(first.path).keys()
    with pytest.raises(BadInput, match=r"Let it end in \.gguf"):
        bake_gguf(base, some, tmp_path / "folder")
    with pytest.raises(BadSetting, match="float64"):
        bake_gguf(base, some, tmp_path / "made.gguf", dtype="float64")
