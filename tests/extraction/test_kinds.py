"""What a tensor is called a linear layer's weight is one, in transformers' own models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from superpose.extraction.kinds import kind_of, missing_prefix, vocabulary_of

MODELS = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma3ForCausalLM",
    "Phi3ForCausalLM",
    "GPT2LMHeadModel",
    "GPT2ForSequenceClassification",
    "GPTNeoXForCausalLM",
    "OPTForCausalLM",
    "BloomForCausalLM",
    "MixtralForCausalLM",
    "MambaForCausalLM",
    "BertForMaskedLM",
    "DistilBertForSequenceClassification",
    "T5ForConditionalGeneration",
    "WhisperForConditionalGeneration",
)
HEADS = ("lm_head", "score", "classifier", "proj_out", "embed_out", "decoder", "cls")


def on_meta(name: str) -> Any:
    model = getattr(transformers, name)
    with torch.device("meta"):
        return model(model.config_class())


def layers(model: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    """Each tensor's name, its layer's type and its shape."""
    return [
        (name, type(model.get_submodule(name.rpartition(".")[0])).__name__, tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
    ]


@pytest.mark.parametrize("name", MODELS)
def test_linear_means_a_linear_layer_and_the_others_are_told_from_it(name: str) -> None:
    model = on_meta(name)
    vocabulary = vocabulary_of(model.config.to_dict())
    linear = 0
    for tensor, layer, shape in layers(model):
        kind = kind_of(tensor, shape, vocabulary)
        if kind == "linear":
            linear += 1
            assert layer in ("Linear", "Conv1D"), tensor
        elif layer in ("Linear", "Conv1D") and tensor.endswith(".weight"):
            assert kind == "head", tensor
            assert any(part in HEADS for part in tensor.split(".")), tensor
        if "Embedding" in layer:
            assert kind == "embedding", tensor
        if "Norm" in layer:
            assert kind in ("norm", "bias"), tensor
    assert linear >= 8


def test_stacked_experts_and_routers_are_no_linear_layers() -> None:
    kinds = {
        name.rpartition("layers.0.")[2]: kind_of(name, shape, None)
        for name, _, shape in layers(on_meta("MixtralForCausalLM"))
    }
    assert kinds["mlp.gate.weight"] == "router"
    assert kinds["mlp.experts.gate_up_proj"] == "experts"
    # As files spell an expert of its own.
    assert kind_of("model.layers.0.block_sparse_moe.experts.3.w1.weight", (8, 4), None) == "linear"


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "BloomForCausalLM", "LlamaForCausalLM"])
def test_files_of_the_model_without_a_head_get_the_prefix_of_the_one_with_it(name: str) -> None:
    model = on_meta(name)
    config = {**model.config.to_dict(), "architectures": [name]}
    full = tuple(model.state_dict())
    bare = tuple(model.base_model.state_dict())
    prefix = missing_prefix(config, bare)
    assert prefix == f"{model.base_model_prefix}."
    assert {prefix + tensor for tensor in bare} <= set(full)
    assert missing_prefix(config, full) == ""
    config["architectures"] = [type(model.base_model).__name__]
    assert missing_prefix(config, bare) == ""
    assert missing_prefix({}, bare) == ""
