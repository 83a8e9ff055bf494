"""What llama.cpp makes of transformers' architectures: its names for them and for their layers.

Only architectures whose linear layers its converter takes as they are, but for the order of rows
(`rows.py`). Others split, join or transpose weights: an adapter of theirs is refused by name.
Source: llama.cpp, conversion/*.py (each class's `modify_tensors`) and gguf-py, tensor_mapping.py;
the tests hold this table against both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_ATTENTION = {
    "model.layers.N.self_attn.q_proj": "blk.N.attn_q",
    "model.layers.N.self_attn.k_proj": "blk.N.attn_k",
    "model.layers.N.self_attn.v_proj": "blk.N.attn_v",
    "model.layers.N.self_attn.o_proj": "blk.N.attn_output",
}
_ENDS = {"model.embed_tokens": "token_embd", "lm_head": "output"}
_UP_DOWN = {
    "model.layers.N.mlp.up_proj": "blk.N.ffn_up",
    "model.layers.N.mlp.down_proj": "blk.N.ffn_down",
}
_GATED = {"model.layers.N.mlp.gate_proj": "blk.N.ffn_gate", **_UP_DOWN}
_LLAMA = {**_ENDS, **_ATTENTION, **_GATED}
_WITHOUT_OUTPUT = {module: tensor for module, tensor in _LLAMA.items() if module != "lm_head"}
_LLAMA_UNGATED = {**_ENDS, **_ATTENTION, **_UP_DOWN}
_GPT2 = {
    "transformer.wte": "token_embd",
    "lm_head": "output",
    "transformer.h.N.attn.c_attn": "blk.N.attn_qkv",
    "transformer.h.N.attn.c_proj": "blk.N.attn_output",
    "transformer.h.N.mlp.c_fc": "blk.N.ffn_up",
    "transformer.h.N.mlp.c_proj": "blk.N.ffn_down",
}
_PHI2 = {
    **_ENDS,
    **{k: v for k, v in _ATTENTION.items() if not k.endswith("o_proj")},
    "model.layers.N.self_attn.dense": "blk.N.attn_output",
    "model.layers.N.mlp.fc1": "blk.N.ffn_up",
    "model.layers.N.mlp.fc2": "blk.N.ffn_down",
}
_PHI3 = {
    **_ENDS,
    "model.layers.N.self_attn.qkv_proj": "blk.N.attn_qkv",
    "model.layers.N.self_attn.o_proj": "blk.N.attn_output",
    "model.layers.N.mlp.gate_up_proj": "blk.N.ffn_up",
    "model.layers.N.mlp.down_proj": "blk.N.ffn_down",
}
_STARCODER2 = {
    **_ENDS,
    **_ATTENTION,
    "model.layers.N.mlp.c_fc": "blk.N.ffn_up",
    "model.layers.N.mlp.c_proj": "blk.N.ffn_down",
}
_EXPERTS = {
    "model.layers.N.mlp.experts.gate_up_proj": "blk.N.ffn_gate_exps+ffn_up_exps",
    "model.layers.N.mlp.experts.down_proj": "blk.N.ffn_down_exps",
}
_QWEN_MOE = {
    **_ENDS,
    **_ATTENTION,
    **_EXPERTS,
    "model.layers.N.mlp.experts.X.gate_proj": "blk.N.ffn_gate_exps",
    "model.layers.N.mlp.experts.X.up_proj": "blk.N.ffn_up_exps",
    "model.layers.N.mlp.experts.X.down_proj": "blk.N.ffn_down_exps",
    "model.layers.N.mlp.gate": "blk.N.ffn_gate_inp",
}
_SHARED = {
    "model.layers.N.mlp.shared_expert.gate_proj": "blk.N.ffn_gate_shexp",
    "model.layers.N.mlp.shared_expert.up_proj": "blk.N.ffn_up_shexp",
    "model.layers.N.mlp.shared_expert.down_proj": "blk.N.ffn_down_shexp",
    "model.layers.N.mlp.shared_expert_gate": "blk.N.ffn_gate_inp_shexp",
}
_MIXTRAL = {
    **_ENDS,
    **_ATTENTION,
    **_EXPERTS,
    "model.layers.N.block_sparse_moe.experts.X.w1": "blk.N.ffn_gate_exps",
    "model.layers.N.block_sparse_moe.experts.X.w2": "blk.N.ffn_down_exps",
    "model.layers.N.block_sparse_moe.experts.X.w3": "blk.N.ffn_up_exps",
    "model.layers.N.block_sparse_moe.gate": "blk.N.ffn_gate_inp",
}


@dataclass(frozen=True)
class Architecture:
    """One of transformers' architectures, and what llama.cpp makes of it.

    name: transformers' name. gguf: llama.cpp's. names: target module -> tensor, N for the layer's
    number, X for the expert's. permuted: whether the rows of q and k are interleaved. tied: whether
    output and embedding are one tensor where the configuration does not say. wrapped: whether
    transformers keeps the language model inside a larger one.
    """

    name: str
    gguf: str
    names: Mapping[str, str]
    permuted: bool = False
    tied: bool = False
    wrapped: bool = False


ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("LlamaForCausalLM", "llama", _LLAMA, permuted=True),
        Architecture("MistralForCausalLM", "llama", _LLAMA, permuted=True),
        Architecture("MixtralForCausalLM", "llama", _MIXTRAL, permuted=True),
        Architecture("SmolLM3ForCausalLM", "smollm3", _LLAMA, permuted=True, tied=True),
        Architecture("ArceeForCausalLM", "arcee", _LLAMA_UNGATED, permuted=True),
        Architecture("GraniteForCausalLM", "granite", _LLAMA, permuted=True),
        Architecture("OlmoForCausalLM", "olmo", _LLAMA, permuted=True),
        Architecture("Olmo2ForCausalLM", "olmo2", _LLAMA),
        Architecture("Olmo3ForCausalLM", "olmo2", _LLAMA),
        Architecture("Qwen2ForCausalLM", "qwen2", _LLAMA),
        Architecture("Qwen3ForCausalLM", "qwen3", _LLAMA),
        Architecture("Qwen2MoeForCausalLM", "qwen2moe", {**_QWEN_MOE, **_SHARED}),
        Architecture("Qwen3MoeForCausalLM", "qwen3moe", _QWEN_MOE),
        Architecture("GemmaForCausalLM", "gemma", _WITHOUT_OUTPUT, tied=True),
        Architecture("Gemma2ForCausalLM", "gemma2", _WITHOUT_OUTPUT, tied=True),
        Architecture("Gemma3ForCausalLM", "gemma3", _LLAMA, tied=True),
        Architecture("Gemma3ForConditionalGeneration", "gemma3", _LLAMA, tied=True, wrapped=True),
        Architecture("PhiForCausalLM", "phi2", _PHI2),
        Architecture("Phi3ForCausalLM", "phi3", _PHI3),
        Architecture("GPT2LMHeadModel", "gpt2", _GPT2, tied=True),
        Architecture("Starcoder2ForCausalLM", "starcoder2", _STARCODER2, tied=True),
        Architecture("StableLmForCausalLM", "stablelm", _LLAMA),
        Architecture("CohereForCausalLM", "command-r", _WITHOUT_OUTPUT, tied=True),
        Architecture("Cohere2ForCausalLM", "cohere2", _WITHOUT_OUTPUT, tied=True),
        Architecture("SeedOssForCausalLM", "seed_oss", _LLAMA),
        Architecture("ApertusForCausalLM", "apertus", _LLAMA_UNGATED),
        Architecture("NemotronForCausalLM", "nemotron", _LLAMA_UNGATED),
    )
}
"""By transformers' name; of several with one name in llama.cpp, the first is the usual one."""


def of_gguf(name: str) -> list[Architecture]:
    """Give the architectures that llama.cpp calls `name`, the usual one first."""
    return [a for a in ARCHITECTURES.values() if a.gguf == name]
