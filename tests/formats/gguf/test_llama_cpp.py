"""llama.cpp itself, with a file that superpose wrote, computes what transformers and PEFT compute.

Runs where llama-cpp-python is installed, which `make test-llama` does. The tiny models are written
for it in float32, so that nothing but the adapter's file and rounding is between the two engines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

import superpose
from superpose.adapter import Adapter, Delta, Place
from superpose.formats.gguf import translate
from superpose.formats.gguf.model import bake_gguf

LoadEngine = Callable[[Path], Any]

TINY: dict[str, Any] = {
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
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "head_dim": 16}
GPT2 = {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 61, "n_positions": 64}
GPT2 |= {"bos_token_id": None, "eos_token_id": None}

# Model, llama.cpp's name, settings, and how far logits may be from the effect: llama.cpp looks GELU
# up in a table of halves.
MODELS: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "llama": ("Llama", "llama", TINY, 1e-5),
    "llama tied": ("Llama", "llama", {**TINY, "tie_word_embeddings": True}, 1e-5),
    "mixtral": ("Mixtral", "llama", {**TINY, **EXPERTS}, 1e-5),
    "qwen2": ("Qwen2", "qwen2", TINY, 1e-5),
    "qwen3": ("Qwen3", "qwen3", {**TINY, "head_dim": 16}, 1e-5),
    "qwen3moe": ("Qwen3Moe", "qwen3moe", {**TINY, **MOE, "norm_topk_prob": True}, 1e-5),
    "phi3": ("Phi3", "phi3", TINY, 1e-5),
    "gemma": ("Gemma", "gemma", {**TINY, "head_dim": 16}, 2e-3),
    "gpt2": ("GPT2", "gpt2", GPT2, 2e-3),
}
TOKENS = [int(n) for n in np.random.default_rng(0).integers(0, 61, 24)]


def model_of(name: str) -> Any:
    """A random model, its norms and biases too."""
    kind, _, settings, _ = MODELS[name]
    config = getattr(transformers, f"{kind}Config")(**settings)
    torch.manual_seed(0)
    suffix = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, kind + suffix)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.02 if parameter.ndim == 1 else 0.05))
    return model


def write_base(model: Any, path: Path, architecture: str) -> None:
    """Write a model for llama.cpp in float32, without a vocabulary."""
    c, writer = model.config, gguf.GGUFWriter(path, architecture)
    head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    writer.add_type("model")
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(c.vocab_size)
    writer.add_context_length(64)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(getattr(c, "intermediate_size", 4 * c.hidden_size))
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(getattr(c, "num_key_value_heads", c.num_attention_heads))
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(getattr(c, "rms_norm_eps", 1e-5))
    writer.add_layer_norm_eps(getattr(c, "layer_norm_epsilon", 1e-5))
    if rope := getattr(c, "rope_parameters", None):
        writer.add_rope_freq_base(rope["rope_theta"])
    if experts := getattr(c, "num_local_experts", getattr(c, "num_experts", None)):
        writer.add_expert_count(experts)
        writer.add_expert_used_count(c.num_experts_per_tok)
        writer.add_expert_feed_forward_length(getattr(c, "moe_intermediate_size", 96))
    for name, tensor in _tensors(model, architecture):
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: Any, architecture: str) -> Iterator[tuple[str, np.ndarray]]:
    c = model.config
    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, c.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        x, layer = tensor.float().numpy(), name.split(".")[2:3]
        module = model.get_submodule(name.rpartition(".")[0])
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        if name.endswith("experts.gate_up_proj"):
            yield f"blk.{layer[0]}.ffn_gate_exps.weight", x[:, : x.shape[1] // 2]
            yield f"blk.{layer[0]}.ffn_up_exps.weight", x[:, x.shape[1] // 2 :]
            continue
        if name.endswith("experts.down_proj"):
            yield f"blk.{layer[0]}.ffn_down_exps.weight", x
            continue
        if type(module).__name__ == "Conv1D" and x.ndim == 2:
            x = x.T
        if architecture == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = c.num_attention_heads if ".q_proj." in name else c.num_key_value_heads
            x = x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        if architecture == "gemma" and name.endswith("norm.weight"):
            x = x + 1
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), x


def adapter_of(model: Any, seed: int = 1) -> Adapter:
    """An adapter of every layer that llama.cpp takes one for, as strong as the weights."""
    rng, deltas = np.random.default_rng(seed), {}

    def delta(out: int, width: int, rank: int, place: Place | None = None) -> Delta:
        B = 0.08 * rng.normal(size=(out, rank)).astype(np.float32)
        A = 0.3 * rng.normal(size=(rank, width)).astype(np.float32)
        return Delta.of(B, A, 1.5, place)

    tied = model.config.tie_word_embeddings
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind == "Linear" and not (name == "lm_head" and tied):
            deltas[name] = delta(*module.weight.shape, 3 if "q" in name else 2)
        elif kind == "Conv1D":
            deltas[name] = delta(*module.weight.shape[::-1], 2)
        elif kind == "Embedding" and not tied:
            place = Place(name, kind="embedding")
            deltas[place.key] = delta(*module.weight.shape[::-1], 2, place)
        elif name.endswith(".experts"):
            for parameter in ("gate_up_proj", "down_proj"):
                stack = getattr(module, parameter)
                for block in range(stack.shape[0]):
                    place = Place(name, parameter, "experts", block=block, blocks=stack.shape[0])
                    deltas[place.key] = delta(*stack.shape[1:], 2, place)
    return Adapter(deltas, name=f"random{seed}", settings={"task_type": "CAUSAL_LM"})


def peft_logits(model: Any, tokens: Sequence[int], folder: Path | None) -> np.ndarray:
    """Logits as transformers computes them, with the adapter as PEFT loads it."""
    import peft

    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        if folder is not None:
            model = peft.PeftModel.from_pretrained(model, folder)
        return np.asarray(model.eval()(input_ids=torch.tensor([list(tokens)])).logits[0].double())


def far(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(x - y))


@pytest.mark.parametrize("name", MODELS)
def test_llama_cpp_computes_what_peft_computes(
    name: str, tmp_path: Path, engine: LoadEngine
) -> None:
    _, architecture, _, allowed = MODELS[name]
    model = model_of(name)
    write_base(model, tmp_path / "base.gguf", architecture)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path / "base")
    adapter = adapter_of(model)
    superpose.save(adapter, tmp_path / "lora.gguf", base=tmp_path / "base")
    superpose.save(adapter, tmp_path / "folder")
    llama = engine(tmp_path / "base.gguf")
    base = peft_logits(model, TOKENS, None)
    assert far(llama.logits(TOKENS), base) <= allowed * np.linalg.norm(base)
    right = peft_logits(model, TOKENS, tmp_path / "folder")
    effect = far(right, base)
    assert effect > 0.1 * np.linalg.norm(base)
    assert far(llama.logits(TOKENS, (tmp_path / "lora.gguf", 1.0)), right) <= allowed * effect


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_a_sum_in_its_weights_computes_what_peft_computes(
    name: str, tmp_path: Path, engine: LoadEngine
) -> None:
    """The weighted sum of two, of each end of tied weights too, which no adapter file can hold."""
    _, architecture, _, allowed = MODELS[name]
    model = model_of(name)
    write_base(model, tmp_path / "base.gguf", architecture)
    parts = adapter_of(model, 1), adapter_of(model, 2)
    tied = model.config.tie_word_embeddings and architecture != "gemma"
    if tied:
        parts = parts[0], with_an_end(parts[1], model)
    total = 0.75 * parts[0] - 0.5 * parts[1]
    made = bake_gguf(tmp_path / "base.gguf", total, tmp_path / "made.gguf")
    assert made.untied == tied
    superpose.save(total, tmp_path / "folder")
    base = peft_logits(model, TOKENS, None)
    right = peft_logits(model, TOKENS, tmp_path / "folder")
    effect = far(right, base)
    assert effect > 0.1 * np.linalg.norm(base)
    assert far(engine(made.path).logits(TOKENS), right) <= allowed * effect


def with_an_end(adapter: Adapter, model: Any) -> Adapter:
    """The adapter with a change of the embedding alone, of a model that ties it to its output."""
    name = "transformer.wte" if hasattr(model, "transformer") else "model.embed_tokens"
    place, rng = Place(name, kind="embedding"), np.random.default_rng(7)
    width, words = model.config.hidden_size, model.config.vocab_size
    B = rng.normal(size=(width, 2)).astype(np.float32)
    delta = Delta.of(B, 0.1 * rng.normal(size=(2, words)).astype(np.float32), 1.0, place)
    return replace(adapter, deltas={**adapter.deltas, place.key: delta})


def test_two_files_at_once_with_scales_are_our_one_sum(
    tmp_path: Path, engine: LoadEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("llama")
    write_base(model, tmp_path / "base.gguf", "llama")
    a, b = adapter_of(model, 1), adapter_of(model, 2).compress(1)
    for name, adapter in {"a": a, "b": b, "sum": 0.75 * a - 0.5 * b}.items():
        superpose.save(adapter, tmp_path / f"{name}.gguf", base=tmp_path / "base.gguf")
    llama = engine(tmp_path / "base.gguf")
    one = llama.logits(TOKENS, (tmp_path / "sum.gguf", 1.0))
    two = llama.logits(TOKENS, (tmp_path / "a.gguf", 0.75), (tmp_path / "b.gguf", -0.5))
    effect = far(one, llama.logits(TOKENS))
    assert far(one, two) <= 1e-5 * effect
    # What these tests would not forgive: rows of q and k in transformers' order.
    monkeypatch.setattr(translate, "interleaved", lambda delta, heads, module: delta)
    superpose.save(0.75 * a - 0.5 * b, tmp_path / "wrong.gguf", base=tmp_path / "base.gguf")
    wrong = llama.logits(TOKENS, (tmp_path / "wrong.gguf", 1.0))
    assert far(wrong, two) > 0.01 * effect
