"""A base model's folder is read by header, and its tensors are found by transformers' own names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from superpose.errors import BadInput, Refused
from superpose.files.checkpoint import (
    INDEX,
    SINGLE,
    Checkpoint,
    stored_dtype,
)
from superpose.files.for_transformers import check_safetensors
from superpose.files.header import SIZES

SMALL: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


def llama(**settings: Any) -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, **settings))


def gpt2() -> Any:
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 32}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))


def mixtral() -> Any:
    config = transformers.MixtralConfig(**SMALL, num_local_experts=2, num_experts_per_tok=1)
    return transformers.MixtralForCausalLM(config)


def llava() -> Any:
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(**SMALL),
        image_token_index=31,
    )
    return transformers.LlavaForConditionalGeneration(config)


def qwen2_vl() -> Any:
    vision = {"embed_dim": 16, "hidden_size": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = transformers.Qwen2VLConfig(
        text_config={**SMALL, "rope_parameters": rope}, vision_config=vision
    )
    return transformers.Qwen2VLForConditionalGeneration(config)


def bert() -> Any:
    return transformers.BertForMaskedLM(transformers.BertConfig(**SMALL))


def t5() -> Any:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
    return transformers.T5ForConditionalGeneration(transformers.T5Config(vocab_size=32, **sizes))


MODELS = {
    "llama": llama,
    "tied": lambda: llama(tie_word_embeddings=True),
    "gpt2": gpt2,
    "mixtral": mixtral,
    "llava": llava,
    "qwen2_vl": qwen2_vl,
    "bert": bert,
    "t5": t5,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    llama().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("kind", MODELS)
def test_every_parameter_of_the_model_is_found_in_its_files(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]()
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint.open(tmp_path)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            assert checkpoint.resolve(name) is None  # stored expert by expert
            continue
        stored = checkpoint.resolve(name)
        assert stored is not None, name
        assert np.array_equal(checkpoint.read(stored), parameter.detach().numpy()), name


@pytest.mark.parametrize("kind", MODELS)
def test_the_layers_stored_transposed_are_told(kind: str, tmp_path: Path) -> None:
    model = MODELS[kind]()
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint.open(tmp_path)
    for name, module in model.named_modules():
        transposed = isinstance(module, transformers.pytorch_utils.Conv1D)
        assert checkpoint.is_conv1d(name) == transposed, name


def test_a_base_without_a_head_is_found_from_the_model_with_one_and_back(tmp_path: Path) -> None:
    model = gpt2()
    model.transformer.save_pretrained(tmp_path / "plain")
    model.save_pretrained(tmp_path / "headed")
    plain, headed = (Checkpoint.open(tmp_path / name) for name in ("plain", "headed"))
    assert plain.resolve("transformer.h.1.attn.c_attn.weight") == "h.1.attn.c_attn.weight"
    assert headed.resolve("h.1.attn.c_attn.weight") == "transformer.h.1.attn.c_attn.weight"
    assert plain.resolve("lm_head.weight") == "wte.weight"


def test_a_tied_output_layer_is_the_embedding_and_an_untied_one_is_not(
    folder: Path, tmp_path: Path
) -> None:
    llama(tie_word_embeddings=True).save_pretrained(tmp_path / "tied")
    tied, own = Checkpoint.open(tmp_path / "tied"), Checkpoint.open(folder)
    assert tied.tied
    assert tied.resolve("lm_head.weight") == "model.embed_tokens.weight"
    assert tied.stored_as("lm_head.weight") is None
    assert not own.tied
    assert own.resolve("lm_head.weight") == "lm_head.weight"


def test_what_no_file_holds_is_not_found(folder: Path) -> None:
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.resolve("model.layers.9.mlp.up_proj.weight") is None
    assert checkpoint.resolve("model.layers.0.self_attn.q_proj.bias") is None
    with pytest.raises(BadInput, match="holds no tensor `x`"):
        checkpoint.read("x")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_and_their_rows_come_in_the_stored_dtype(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    model = llama().to(dtype)
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    checkpoint = Checkpoint.open(tmp_path)
    assert len(checkpoint.files) > 1
    assert checkpoint.index is not None
    for name, right in model.state_dict().items():
        read = checkpoint.read(name)
        assert f"torch.{read.dtype.name}" == str(dtype)
        assert np.array_equal(read.astype(np.float64), right.double().numpy())
        rows = checkpoint.read_rows(name, 1, 3)
        assert np.array_equal(rows.astype(np.float64), right[1:3].double().numpy())


def test_an_index_that_lies_is_bad_input(folder: Path) -> None:
    tensors = load_file(folder / SINGLE)
    (folder / SINGLE).unlink()
    save_file(tensors, folder / "model-00001-of-00001.safetensors")
    where = dict.fromkeys(tensors, "model-00001-of-00001.safetensors")
    for extra, said in (
        ({"x": "model-00001-of-00001.safetensors"}, "holds `x`, and it does not"),
        ({"x": "../away.safetensors"}, "no file's name"),
        ({"x": "missing.safetensors"}, "cannot be read"),
    ):
        (folder / INDEX).write_text(json.dumps({"weight_map": {**where, **extra}}))
        with pytest.raises(BadInput, match=said):
            Checkpoint.open(folder)
    save_file({"lm_head.weight": tensors["lm_head.weight"]}, folder / "again.safetensors")
    twice = {**where, "lm_head.weight": "again.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": twice}))
    with pytest.raises(BadInput, match=r"which again\.safetensors holds too"):
        Checkpoint.open(folder)


@pytest.mark.parametrize(
    ("settings", "files", "said"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, [SINGLE], "quantised.*gptq"),
        ({}, ["pytorch_model.bin"], "pytorch_model.bin, not model.safetensors"),
        ({}, ["model.gguf"], "model.gguf, not model.safetensors"),
    ],
)
def test_what_cannot_be_read_tensor_by_tensor_is_refused_by_name(
    settings: dict[str, object], files: list[str], said: str, folder: Path
) -> None:
    (folder / SINGLE).rename(folder / files[0])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    with pytest.raises(Refused, match=said):
        Checkpoint.open(folder)


def test_a_folder_that_is_no_model_says_what_is_missing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        Checkpoint.open(tmp_path)
    (folder / SINGLE).unlink()
    with pytest.raises(BadInput, match="holds neither"):
        Checkpoint.open(folder)
    (folder / "config.json").write_text("[")
    with pytest.raises(BadInput, match="is not JSON"):
        Checkpoint.open(folder)


def test_a_file_that_shrinks_after_it_was_opened_is_bad_input(folder: Path) -> None:
    checkpoint = Checkpoint.open(folder)
    whole = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="became shorter while"):
        checkpoint.read(checkpoint.names[-1])


def test_a_model_that_transformers_would_not_load_from_safetensors_is_refused(
    tmp_path: Path,
) -> None:
    """A configuration may name the file of its weights itself, and that file may be a pickle."""
    config = tmp_path / "config.json"
    config.write_text("{}")
    with pytest.raises(BadInput, match=rf"neither {SINGLE} nor {INDEX}"):
        check_safetensors(tmp_path)
    config.write_text(json.dumps({"transformers_weights": "weights.bin"}))
    with pytest.raises(Refused, match=r"weights read from 'weights\.bin', which is no safetensors"):
        check_safetensors(tmp_path)
    index = {"weight_map": {"x": "x.safetensors"}}
    (tmp_path / "weights.safetensors.index.json").write_text(json.dumps(index))
    for name in ("weights.safetensors", "weights.safetensors.index.json"):
        config.write_text(json.dumps({"transformers_weights": name}))
        check_safetensors(tmp_path)


def test_a_model_of_diffusers_is_taken_where_it_is_asked_for_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    save_file({"x.weight": np.ones((2, 2), np.float32)},
              tmp_path / "diffusion_pytorch_model.safetensors")  # fmt: skip
    with pytest.raises(Refused, match=r"a model of diffusers' \(UNet2DConditionModel\)") as caught:
        Checkpoint.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert Checkpoint.open(tmp_path, diffusers=True).names == ("x.weight",)


def test_every_dtype_that_a_header_may_name_has_numpys_of_its_size() -> None:
    for name, size in SIZES.items():
        assert stored_dtype(name).itemsize == size
