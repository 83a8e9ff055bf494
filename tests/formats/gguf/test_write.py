"""A GGUF LoRA file of superpose's, as llama.cpp's own package reads it; what it cannot hold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

import superpose
from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.errors import (
    BadInput,
    MissingExtra,
    OutputExists,
    Refused,
)
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Config = Callable[..., Path]

Q = "model.layers.0.self_attn.q_proj"
K = "model.layers.0.self_attn.k_proj"
V = "model.layers.0.self_attn.v_proj"


def delta(
    out: int = 8, width: int = 8, rank: int = 2, scaling: float = 1.5, place: Place | None = None
) -> Delta:
    rng = np.random.default_rng(out + width + rank)
    B = rng.normal(size=(out, rank)).astype(np.float32)
    A = rng.normal(size=(rank, width)).astype(np.float32)
    return Delta.of(B, A, scaling, place)


@pytest.fixture
def llama(config_json: Config) -> Path:
    """The folder of a Llama with 4 heads, 2 of keys and values, output and embedding apart."""
    return config_json("LlamaForCausalLM", num_attention_heads=4, num_key_value_heads=2)


def product(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """What llama.cpp adds to a tensor whose alpha is its rank."""
    return np.asarray(tensors[f"{name}.weight.lora_b"] @ tensors[f"{name}.weight.lora_a"])


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read metadata and tensors with llama.cpp's own package."""
    reader = gguf.GGUFReader(path)
    tensors = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    return {key: field.contents() for key, field in reader.fields.items()}, tensors


def test_alpha_is_the_one_rank_of_all_tensors_so_that_every_reader_scales_by_1(
    llama: Path, tmp_path: Path
) -> None:
    adapter = Adapter({V: delta(rank=2), Q: delta(rank=5)}, name="a", base_model="org/base")
    written = superpose.save(adapter, tmp_path / "a.gguf", base=llama)
    keys, tensors = read(tmp_path / "a.gguf")
    assert keys["general.architecture"] == "llama"
    assert keys["general.type"] == "adapter"
    assert keys["adapter.type"] == "lora"
    assert keys["adapter.lora.alpha"] == written.rank == 5
    assert {t.shape[1] for n, t in tensors.items() if n.endswith("b")} == {5}
    assert (written.modules, written.dtype) == (2, "float32")
    right = dense(adapter[V].terms)
    np.testing.assert_allclose(product(tensors, "blk.0.attn_v"), right, rtol=1e-5, atol=1e-6)


def test_rows_of_q_and_k_are_interleaved_by_their_own_heads(llama: Path, tmp_path: Path) -> None:
    adapter = Adapter({Q: delta(out=16), K: delta(out=8), V: delta(out=8)})
    superpose.save(adapter, tmp_path / "a.gguf", base=llama)
    _, tensors = read(tmp_path / "a.gguf")
    for module, name, heads in ((Q, "attn_q", 4), (K, "attn_k", 2)):
        right = dense(adapter[module].terms)
        right = right.reshape(heads, 2, -1, 8).swapaxes(1, 2).reshape(right.shape)
        found = product(tensors, f"blk.0.{name}")
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


def test_a_file_is_read_back_as_the_same_adapter_without_the_base(
    llama: Path, tmp_path: Path, write_adapter: WriteAdapter
) -> None:
    a, b = superpose.load(write_adapter("a")), superpose.load(write_adapter("b", seed=1))
    total = a - 0.5 * b
    superpose.save(total, tmp_path / "sum.gguf", base=llama)
    found = superpose.load(tmp_path / "sum.gguf")
    assert list(found) == list(total)
    for module in total:
        right = dense(total[module].terms)
        np.testing.assert_allclose(dense(found[module].terms), right, rtol=1e-5, atol=1e-6)
    assert [(p.name, p.weight) for p in found.parents] == [("a", 1.0), ("b", -0.5)]
    assert found.base_model == "org/tiny-llama"
    # The numbers of the base go with it: again a GGUF file, or a PEFT folder, and no base.
    superpose.save(0.5 * found, tmp_path / "half.gguf")
    superpose.save(found + a, tmp_path / "folder")


def test_the_embedding_and_the_output_of_a_model_that_has_both(llama: Path, tmp_path: Path) -> None:
    place = Place("model.embed_tokens", kind="embedding")
    adapter = Adapter({place.key: delta(8, 61, place=place), "lm_head": delta(61, 8)})
    superpose.save(adapter, tmp_path / "a.gguf", base=llama)
    _, tensors = read(tmp_path / "a.gguf")
    A, B = (tensors[f"token_embd.weight.lora_{side}"] for side in "ab")
    assert (A.shape, B.shape) == ((61, 2), (8, 2))
    np.testing.assert_allclose(B @ A.T, dense(adapter[place.key].terms), rtol=1e-5, atol=1e-6)
    assert tensors["output.weight.lora_b"].shape == (61, 2)
    assert superpose.load(tmp_path / "a.gguf")[place.key].place == place


@pytest.mark.parametrize("spelling", ["of today", "of transformers 4"])
def test_experts_lie_behind_each_other_with_zeros_for_those_without_a_delta(
    spelling: str, config_json: Config, tmp_path: Path
) -> None:
    base = config_json("Qwen3MoeForCausalLM", num_attention_heads=4, num_experts=3)
    stack = "model.layers.0.mlp.experts"
    deltas: dict[str, Delta] = {}
    for expert in (0, 2):
        if spelling == "of today":
            for parameter, shape in {"gate_up_proj": (12, 8), "down_proj": (8, 6)}.items():
                place = Place(stack, parameter, "experts", block=expert, blocks=3)
                deltas[place.key] = delta(*shape, scaling=expert + 1, place=place)
        else:
            for name, shape in {"gate": (6, 8), "up": (6, 8), "down": (8, 6)}.items():
                deltas[f"{stack}.{expert}.{name}_proj"] = delta(*shape, scaling=expert + 1)
    adapter = Adapter(deltas)
    superpose.save(adapter, tmp_path / "a.gguf", base=base)
    _, tensors = read(tmp_path / "a.gguf")
    for expert in range(3):
        whole = {n: product(tensors, f"blk.0.ffn_{n}_exps")[expert] for n in ("gate", "up", "down")}
        if expert == 1:
            assert not any(part.any() for part in whole.values())
            continue
        if spelling == "of today":
            both = dense(adapter[f"{stack}.gate_up_proj[{expert}]"].terms)
            right = {"gate": both[:6], "up": both[6:]}
            right["down"] = dense(adapter[f"{stack}.down_proj[{expert}]"].terms)
        else:
            right = {n: dense(adapter[f"{stack}.{expert}.{n}_proj"].terms) for n in whole}
        for name, part in whole.items():
            np.testing.assert_allclose(part, right[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_dtype_is_float32_or_what_was_asked_for(
    dtype: str, llama: Path, tmp_path: Path
) -> None:
    adapter = Adapter({V: delta()})
    asked = None if dtype == "float32" else dtype
    written = superpose.save(adapter, tmp_path / "a.gguf", base=llama, dtype=asked)
    assert written.dtype == dtype
    types = {t.tensor_type.name for t in gguf.GGUFReader(tmp_path / "a.gguf").tensors}
    assert types == {{"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]}
    found = dense(superpose.load(tmp_path / "a.gguf")[V].terms)
    error = np.linalg.norm(found - dense(adapter[V].terms)) / np.linalg.norm(found)
    assert error < {"float32": 1e-6, "float16": 2e-3, "bfloat16": 1e-2}[dtype]


def test_a_double_is_no_dtype_of_an_adapter_of_llama_cpps(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none of float32, float16, bfloat16, which GGUF can be"):
        superpose.save(Adapter({V: delta()}), tmp_path / "a.gguf", base=llama, dtype="float64")


def replaced() -> Replacement:
    stored = Stored(np.ones(8, np.float32))
    return Replacement((Part(1.0, stored),), "model.layers.0.self_attn.v_proj.bias")


NOT_HELD: dict[str, tuple[Adapter, str]] = {
    "bias": (
        Adapter({V: delta(), f"{V}.bias": delta(8, 1, 1, place=Place(V, "bias", "bias"))}),
        r"v_proj\.bias`: a change of a bias",
    ),
    "replacement": (
        Adapter({V: delta()}, replacements={replaced().key: replaced()}),
        r"v_proj\.bias`: it is stored as it is",
    ),
    "convolution": (
        Adapter({"conv": delta(place=Place("conv", kind="convolution", kernel=(1,)))}),
        "`conv`: a convolution",
    ),
    "unknown module": (Adapter({"model.vision.proj": delta()}), r"`model\.vision\.proj`: llama"),
    "tied layers": (
        Adapter(
            {"model.embed_tokens": delta(place=Place("model.embed_tokens", kind="embedding"))},
            tied={"lm_head": "model.embed_tokens"},
        ),
        "`lm_head`: tied to the embedding",
    ),
    "in_proj": (Adapter({"x": delta(place=Place(V, "in_proj_weight"))}), "in_proj_weight"),
    "pooled": (Adapter({V: delta(place=Place(V, pooled=2))}), "pooled"),
    "replicated": (Adapter({V: delta()}, settings={"layer_replication": [[0, 2]]}), "replication"),
}


@pytest.mark.parametrize("name", NOT_HELD)
def test_what_gguf_cannot_hold_is_refused_by_name_and_nothing_is_written(
    name: str, llama: Path, tmp_path: Path
) -> None:
    adapter, words = NOT_HELD[name]
    with pytest.raises(Refused, match=words):
        superpose.save(adapter, tmp_path / "a.gguf", base=llama)
    assert not list(tmp_path.glob("*.gguf"))


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens"])
def test_one_tensor_for_output_and_embedding_takes_no_delta_of_one_of_them(
    module: str, config_json: Config, tmp_path: Path
) -> None:
    base = config_json("LlamaForCausalLM", num_attention_heads=4, tie_word_embeddings=True)
    place = Place(module, kind="embedding") if module.startswith("model") else None
    with pytest.raises(Refused, match="one tensor of this base"):
        superpose.save(Adapter({module: delta(place=place)}), tmp_path / "a.gguf", base=base)


def test_every_reason_is_given_at_once(llama: Path, tmp_path: Path) -> None:
    adapter = Adapter({V: delta(), "a.b": delta(), "c.d": delta()})
    with pytest.raises(Refused) as caught:
        superpose.save(adapter, tmp_path / "a.gguf", base=llama)
    assert "`a.b`" in str(caught.value)
    assert "`c.d`" in str(caught.value)


def test_force_replaces_an_adapter_and_nothing_else(llama: Path, tmp_path: Path) -> None:
    adapter, path = Adapter({V: delta()}), tmp_path / "a.gguf"
    superpose.save(adapter, path, base=llama)
    before = path.read_bytes()
    with pytest.raises(OutputExists, match="already exists"):
        superpose.save(2 * adapter, path, base=llama)
    assert path.read_bytes() == before
    superpose.save(2 * adapter, path, base=llama, force=True)
    assert path.read_bytes() != before
    for content in (b"GGUF", b"my notes"):
        path.write_bytes(content)
        with pytest.raises(OutputExists, match="is not an adapter"):
            superpose.save(adapter, path, base=llama, force=True)
        assert path.read_bytes() == content
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputExists, match="is a folder"):
        superpose.save(adapter, path, base=llama, force=True)


def test_a_value_too_large_is_named_as_the_file_does_and_leaves_nothing_behind(
    llama: Path, tmp_path: Path
) -> None:
    adapter = Adapter({V: delta(scaling=1e9)})
    name = r"`blk\.\d+\.attn_v\.weight\.lora_b`"
    with pytest.raises(BadInput, match=f"{name} holds values too large for float16"):
        superpose.save(adapter, tmp_path / "a.gguf", base=llama, dtype="float16")
    assert not [p for p in tmp_path.iterdir() if "gguf" in p.name]


def test_without_the_package_it_says_how_to_get_it(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r'pip install "superpose\[gguf\]"'):
        superpose.save(Adapter({V: delta()}), tmp_path / "a.gguf", base=llama)


@pytest.mark.parametrize("written", ["", "language_model.model.", "model.language_model."])
def test_a_layer_is_found_under_every_name_that_its_model_gives_it(
    tmp_path: Path, llama: Path, written: str
) -> None:
    deltas = {Q: delta(), K: delta(4)}
    other = {written + name.removeprefix("model."): d for name, d in deltas.items()}
    for name, own in (("full", deltas), ("other", other)):
        superpose.save(Adapter(own, name="a"), tmp_path / f"{name}.gguf", base=llama)
    full, found = (read(tmp_path / f"{name}.gguf")[1] for name in ("full", "other"))
    assert full.keys() == found.keys()
    assert all(np.array_equal(full[name], found[name]) for name in full)
