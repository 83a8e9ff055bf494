"""The table of architectures against both sides: llama.cpp's names, transformers' own models."""

from __future__ import annotations

from typing import Any

import gguf
import pytest
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from superpose.formats.gguf.architectures import ARCHITECTURES, Architecture
from superpose.formats.gguf.names import llama_cpp_tensors, module_of

TYPES = {name: kind for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
CAUSAL = [a for a in ARCHITECTURES.values() if not a.wrapped]
TINY = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 61,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}


def tiny(architecture: Architecture) -> Any:
    """A model of the architecture without weights."""
    config = CONFIG_MAPPING[TYPES[architecture.name]](**TINY)
    with torch.device("meta"):
        return getattr(transformers, architecture.name)(config)


def filled(module: str) -> str:
    """A name of the table for layer 1 and expert 3."""
    return module.replace(".N.", ".1.").replace(".X.", ".3.")


def ours(architecture: Architecture) -> dict[str, str]:
    return {filled(m): t.replace(".N.", ".1.") for m, t in architecture.names.items()}


def stacked(module: str) -> str:
    """What the converter calls an expert's layer once the experts lie on top of each other."""
    name = module.replace(".experts.3.", ".experts.").replace("gate_up_proj", "gate_proj")
    mixtral = name.replace("model.layers", "layers").replace("block_sparse_moe", "feed_forward")
    return mixtral if "block_sparse_moe" in name else name


@pytest.mark.parametrize("architecture", CAUSAL, ids=lambda a: a.name)
def test_every_linear_layer_of_a_model_is_in_the_table(architecture: Architecture) -> None:
    model = tiny(architecture)
    linear = {
        name
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D", "Embedding")
        and not name.endswith("wpe")  # GPT-2's positions
    }
    unknown = {name for name in linear if not llama_cpp_tensors(architecture, name)}
    # Where output and embedding are always one tensor, llama.cpp has no output of its own.
    assert unknown <= ({"lm_head"} if architecture.tied else set())
    stacks = {
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        for parameter, tensor in module.named_parameters(recurse=False)
        if tensor.ndim == 3
    }
    assert all(llama_cpp_tensors(architecture, name) for name in stacks)


@pytest.mark.parametrize("architecture", CAUSAL, ids=lambda a: a.name)
def test_llama_cpps_own_table_maps_each_name_alike(architecture: Architecture) -> None:
    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture.gguf)
    theirs = gguf.get_tensor_name_map(number, 4)
    for module, tensor in ours(architecture).items():
        name = theirs.get_name(stacked(module) if ".experts." in module else module)
        assert name == tensor.partition("+")[0], module


@pytest.mark.parametrize("architecture", CAUSAL, ids=lambda a: a.name)
def test_output_and_embedding_are_one_tensor_where_transformers_ties_them(
    architecture: Architecture,
) -> None:
    config = CONFIG_MAPPING[TYPES[architecture.name]]()
    assert architecture.tied == config.tie_word_embeddings


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
def test_names_come_back(architecture: Architecture) -> None:
    for module in (filled(m) for m in architecture.names if ".X." not in m):
        for tensor in llama_cpp_tensors(architecture, module):
            back, half = module_of(architecture, tensor.name)
            assert half == tensor.half
            assert back is not None
            assert llama_cpp_tensors(architecture, back) == llama_cpp_tensors(architecture, module)
            assert ("language_model" in back) == (architecture.wrapped and "." in module)


def test_a_name_that_is_none_is_none() -> None:
    llama = ARCHITECTURES["LlamaForCausalLM"]
    for module in ("model.layers.0.self_attn", "q_proj", "", "model.layers.0.mlp.experts.3.w1.2"):
        assert llama_cpp_tensors(llama, module) == []
    assert module_of(llama, "blk.0.ssm_in") == (None, None)
