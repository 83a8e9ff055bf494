"""A GGUF LoRA file means to superpose what llama.cpp computes from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

import superpose
from superpose.errors import BadInput, DifferentBase, MissingBase, Refused, SuperposeWarning
from superpose.files.file_format import LLAMA_CPP
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

WriteLora = Callable[..., Path]
Factors = Callable[..., dict[str, np.ndarray]]
Config = Callable[..., Path]

V = "model.layers.0.self_attn.v_proj"
Q = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(("alpha", "scaling"), [(6.0, 3.0), (0.0, 1.0), (None, 1.0), (-1.0, -0.5)])
def test_alpha_is_divided_by_the_tensors_rank_and_0_or_none_means_1(
    alpha: float | None, scaling: float, write_lora: WriteLora, factors: Factors
) -> None:
    tensors = factors("blk.0.attn_v", rank=2)
    adapter = superpose.load(write_lora("a", tensors, alpha=alpha))
    B, A = tensors["blk.0.attn_v.weight.lora_b"], tensors["blk.0.attn_v.weight.lora_a"]
    np.testing.assert_allclose(dense(adapter[V].terms), scaling * B @ A, rtol=1e-6)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0"])
def test_every_type_that_the_converter_writes_is_read_as_its_package_reads_it(
    kind: str, write_lora: WriteLora, factors: Factors
) -> None:
    quantised = gguf.GGMLQuantizationType[kind]
    tensors = factors("blk.0.attn_v", out=16, width=64, rank=32)
    adapter = superpose.load(write_lora("a", tensors, alpha=32.0, quantised=quantised))
    (term,) = adapter[V].terms
    for ours, name in ((term.B, "lora_b"), (term.A, "lora_a")):
        raw = gguf.quantize(tensors[f"blk.0.attn_v.weight.{name}"], quantised)
        right = gguf.dequantize(raw, quantised)
        np.testing.assert_array_equal(np.asarray(ours, np.float32), right)


def test_an_embeddings_a_is_stored_transposed(write_lora: WriteLora, factors: Factors) -> None:
    tensors = factors("token_embd", out=16, width=61)
    A = tensors["token_embd.weight.lora_a"]
    tensors["token_embd.weight.lora_a"] = np.ascontiguousarray(A.T)
    adapter = superpose.load(write_lora("a", tensors))
    embedding = adapter["model.embed_tokens"]
    assert embedding.place is not None
    assert embedding.place.kind == "embedding"
    np.testing.assert_array_equal(embedding.terms[0].A, A)


def test_a_stack_of_experts_is_one_delta_each_gate_and_up_together(
    write_lora: WriteLora,
) -> None:
    rng = np.random.default_rng(0)
    shapes = {"gate": (12, 8), "up": (12, 8), "down": (8, 12)}
    tensors = {}
    for name, (out, width) in shapes.items():
        stem = f"blk.1.ffn_{name}_exps.weight"
        tensors[f"{stem}.lora_a"] = rng.normal(size=(3, 2, width)).astype(np.float32)
        tensors[f"{stem}.lora_b"] = rng.normal(size=(3, out, 2)).astype(np.float32)
    adapter = superpose.load(write_lora("a", tensors, architecture="qwen3moe"))
    whole = {n: tensors[f"blk.1.ffn_{n}_exps.weight.lora_b"] @ tensors[
        f"blk.1.ffn_{n}_exps.weight.lora_a"] for n in shapes}  # fmt: skip
    for expert in range(3):
        both = adapter[f"model.layers.1.mlp.experts.gate_up_proj[{expert}]"]
        right = np.concatenate([whole["gate"][expert], whole["up"][expert]])
        np.testing.assert_allclose(dense(both.terms), right, rtol=1e-5, atol=1e-6)
        down = adapter[f"model.layers.1.mlp.experts.down_proj[{expert}]"]
        np.testing.assert_allclose(dense(down.terms), whole["down"][expert], rtol=1e-5, atol=1e-6)
        assert both.place is not None
        assert (both.place.block, both.place.blocks) == (expert, 3)


def test_rows_of_q_come_back_in_transformers_order_where_the_base_tells_the_heads(
    write_lora: WriteLora, factors: Factors, config_json: Config
) -> None:
    path = write_lora("a", factors("blk.0.attn_q") | factors("blk.0.attn_k", out=8))
    base = config_json("LlamaForCausalLM", num_attention_heads=4, num_key_value_heads=2)
    adapter = superpose.load(path, base=base)
    for module, heads in ((Q, 4), ("model.layers.0.self_attn.k_proj", 2)):
        stored = factors("blk.0.attn_q" if heads == 4 else "blk.0.attn_k", out=4 * heads)
        B = stored[f"blk.0.attn_{'q' if heads == 4 else 'k'}.weight.lora_b"]
        right = B.reshape(heads, 2, 2, 2).swapaxes(1, 2).reshape(B.shape)
        np.testing.assert_array_equal(adapter[module].terms[0].B, right)


def test_two_files_are_added_without_the_base_model(
    write_lora: WriteLora, factors: Factors, tmp_path: Path, config_json: Config
) -> None:
    one = write_lora("one", factors("blk.0.attn_q", rank=2), alpha=4.0)
    two = write_lora("two", factors("blk.0.attn_q", rank=3, seed=1), alpha=3.0)
    total = superpose.load(one) - 0.5 * superpose.load(two)
    assert list(total) == ["blk.0.attn_q"]
    superpose.save(total, tmp_path / "sum.gguf")
    base = config_json("LlamaForCausalLM", num_attention_heads=4)
    first, second = (superpose.load(path, base=base) for path in (one, two))
    found = superpose.load(tmp_path / "sum.gguf", base=base)
    right = dense((first - 0.5 * second)[Q].terms)
    np.testing.assert_allclose(dense(found[Q].terms), right, rtol=1e-5, atol=1e-6)


def test_beside_a_peft_folder_the_base_is_asked_for_and_then_the_sum_is_right(
    write_lora: WriteLora, factors: Factors, write_adapter: WriteAdapter, config_json: Config
) -> None:
    path = write_lora("a", factors("blk.0.attn_q", out=8, width=8), general__name="a")
    folder = superpose.load(write_adapter("math", modules=(Q,)))
    left = superpose.load(path)
    assert left.format == LLAMA_CPP.name
    with pytest.raises(Refused, match="name their target modules differently") as caught:
        _ = left + folder
    assert "--base" in str(caught.value)
    base = config_json("LlamaForCausalLM", num_attention_heads=2)
    whole = superpose.load(path, base=base)
    total = whole + folder
    right = dense(whole[Q].terms) + dense(folder[Q].terms)
    np.testing.assert_allclose(dense(total[Q].terms), right, rtol=1e-5)


def test_what_goes_by_llama_cpps_names_is_no_peft_folder_without_the_base(
    write_lora: WriteLora, factors: Factors, tmp_path: Path, config_json: Config
) -> None:
    adapter = superpose.load(write_lora("a", factors("blk.0.attn_q")))
    with pytest.raises(MissingBase, match="--base"):
        superpose.save(adapter, tmp_path / "folder")
    base = config_json("LlamaForCausalLM", num_attention_heads=4)
    superpose.save(adapter, tmp_path / "folder", base=base)
    assert list(superpose.load(tmp_path / "folder")) == [Q]


def test_an_architecture_that_superpose_does_not_know_can_be_added_all_the_same(
    write_lora: WriteLora, factors: Factors, tmp_path: Path
) -> None:
    path = write_lora("a", factors("blk.0.ssm_in"), architecture="mamba")
    adapter = superpose.load(path)
    assert list(adapter) == ["blk.0.ssm_in"]
    superpose.save(2 * adapter, tmp_path / "twice.gguf")
    twice = superpose.load(tmp_path / "twice.gguf")
    assert twice.cosine(adapter) == pytest.approx(1.0)
    assert twice.norm() == pytest.approx(2 * adapter.norm())


def test_one_name_for_two_kinds_of_modules_is_not_guessed(
    write_lora: WriteLora, factors: Factors, config_json: Config
) -> None:
    path = write_lora("a", factors("blk.0.attn_v"), architecture="gemma3")
    assert list(superpose.load(path)) == ["blk.0.attn_v"]
    base = config_json("Gemma3ForConditionalGeneration", text_config={"num_attention_heads": 2})
    assert list(superpose.load(path, base=base)) == [
        "model.language_model.layers.0.self_attn.v_proj"
    ]


def test_another_architecture_than_the_bases_is_another_base(
    write_lora: WriteLora, factors: Factors, config_json: Config
) -> None:
    path = write_lora("a", factors("blk.0.attn_v"), architecture="qwen2")
    with pytest.raises(DifferentBase, match=r"`qwen2`.*`llama`"):
        superpose.load(path, base=config_json("LlamaForCausalLM", num_attention_heads=4))


def test_files_of_two_architectures_have_no_sum(
    write_lora: WriteLora, factors: Factors, tmp_path: Path
) -> None:
    one, two = (
        superpose.load(write_lora(name, factors("blk.0.ssm_in"), architecture=name))
        for name in ("mamba", "rwkv")
    )
    with pytest.raises(DifferentBase, match="different architectures"):
        superpose.save(one + two, tmp_path / "sum.gguf")


def test_norms_beside_the_factors_are_said_and_passed_over_as_llama_cpp_does(
    write_lora: WriteLora, factors: Factors
) -> None:
    tensors = factors("blk.0.attn_v") | {"blk.0.attn_norm.weight": np.ones(32, np.float32)}
    with pytest.warns(SuperposeWarning, match=r"`blk\.0\.attn_norm\.weight`"):
        assert list(superpose.load(write_lora("a", tensors))) == [V]


REFUSED = {
    "a model": ({"kind": "model", "method": None}, {}, "is a model, not an adapter"),
    "no type": ({"kind": None, "method": None}, {}, "is a model, not an adapter"),
    "another method": ({"method": "ia3"}, {}, "no LoRA adapter"),
    "aLoRA": (
        {"adapter__alora__invocation_tokens": "1"},
        {},
        "acts only after certain tokens",
    ),
    "a whole tensor": ({}, {"output.weight": (4, 4)}, "`output.weight`, which is no factor"),
    "no partner": ({}, {"blk.1.attn_v.weight.lora_a": (2, 8)}, "has no partner"),
    "two ranks": (
        {},
        {"blk.1.attn_v.weight.lora_a": (2, 8), "blk.1.attn_v.weight.lora_b": (8, 3)},
        "not the factors",
    ),
    "a vector": (
        {},
        {"blk.1.attn_v.weight.lora_a": (8,), "blk.1.attn_v.weight.lora_b": (8,)},
        "not the factors",
    ),
    "factors of a bias": (
        {},
        {"blk.1.attn_v.bias.lora_a": (2, 8), "blk.1.attn_v.bias.lora_b": (8, 2)},
        "which is no weight",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sum_of_factors_is_refused_by_name(
    name: str, write_lora: WriteLora, factors: Factors
) -> None:
    settings, more, words = REFUSED[name]
    tensors = factors("blk.0.attn_v")
    tensors |= {tensor: np.ones(shape, np.float32) for tensor, shape in more.items()}
    path = write_lora("a", tensors, **settings)
    with pytest.raises(BadInput, match=words) as caught:
        superpose.load(path)
    assert str(path) in str(caught.value)


def test_nan_is_bad_input(write_lora: WriteLora, factors: Factors) -> None:
    tensors = factors("blk.0.attn_v")
    tensors["blk.0.attn_v.weight.lora_b"][0, 0] = np.nan
    with pytest.raises(BadInput, match=r"lora_b` holds NaN"):
        superpose.load(write_lora("a", tensors))


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"general__base_model__0__repo_url": "https://huggingface.co/org/base"}, "org/base"),
        ({"general__base_model__0__name": "Base 1B"}, "Base 1B"),
        ({"superpose__base_model": "mine", "general__base_model__0__name": "Base"}, "mine"),
        ({}, None),
    ],
)
def test_the_base_models_name_is_read_where_converters_note_it(
    keys: dict[str, str], name: str | None, write_lora: WriteLora, factors: Factors
) -> None:
    assert superpose.load(write_lora("a", factors("blk.0.attn_v"), **keys)).base_model == name
