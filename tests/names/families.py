"""Ways to call the weights of tiny models, and what each adapter changes of the model itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[Any]
Factors = dict[str, tuple[Array, Array]]
Dense = dict[str, Array]
"""Parameter of the model -> what an adapter adds to it."""

RANK, ALPHA = 2, 4
SCALING = ALPHA / RANK


def pair(g: np.random.Generator, out: int, into: int) -> tuple[Array, Array]:
    """A (rank, in) and B (out, rank)."""
    return (
        g.standard_normal((RANK, into)).astype(np.float32),
        g.standard_normal((out, RANK)).astype(np.float32),
    )


def product(factors: tuple[Array, Array]) -> Array:
    A, B = (x.astype(np.float64) for x in factors)
    return SCALING * (B @ A)


def write(folder: Path, tensors: Mapping[str, Array], **config: object) -> Path:
    """Write a PEFT folder. tensors: by name without `base_model.model.`."""
    folder.mkdir(parents=True)
    named = {f"base_model.model.{name}": x for name, x in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors", {"format": "pt"})
    known = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": ["x"]}
    (folder / "adapter_config.json").write_text(json.dumps({**known, **config}))
    return folder


def linear(factors: Factors, **config: object) -> tuple[dict[str, Array], dict[str, object]]:
    """The tensors of layers, and what the configuration says of them."""
    tensors = {}
    for module, (A, B) in factors.items():
        tensors |= {f"{module}.lora_A.weight": A, f"{module}.lora_B.weight": B}
    return tensors, {"target_modules": sorted(factors), **config}


def stacked(
    by_parameter: Mapping[str, list[tuple[Array, Array]]], module: str
) -> tuple[dict[str, Array], dict[str, object]]:
    """The tensors of stacks of experts as PEFT 0.21 writes them: A by expert, B by rank."""
    tensors = {}
    for parameter, experts in by_parameter.items():
        inner = ".base_layer" if parameter == "gate_up_proj" and len(by_parameter) > 1 else ""
        A = np.concatenate([a for a, _ in experts])
        B = np.stack([b for _, b in experts], axis=2).reshape(len(experts[0][1]), -1)
        tensors[f"{module}{inner}.lora_A.weight"] = A
        tensors[f"{module}{inner}.lora_B.weight"] = np.ascontiguousarray(B)
    names = [f"{module}.{parameter}" for parameter in by_parameter]
    return tensors, {"target_modules": [], "target_parameters": names}


Made = tuple[tuple[dict[str, Array], dict[str, object]], Dense]


@dataclass(frozen=True)
class Family:
    """A model and the ways to call its weights. ways: each makes a file and what it means."""

    model: Callable[[], Any]
    ways: Mapping[str, Callable[[np.random.Generator], Made]]


def renamed(
    shapes: Mapping[str, tuple[int, int]], name_of: Callable[[str], str], conv1d: bool = False
) -> Callable[[np.random.Generator], Made]:
    """Layers under other names. shapes: (out, in) by the model's own name."""

    def make(g: np.random.Generator) -> Made:
        factors = {module: pair(g, *shape) for module, shape in shapes.items()}
        dense = {f"{m}.weight": product(f).T if conv1d else product(f) for m, f in factors.items()}
        config = {"fan_in_fan_out": conv1d}
        return linear({name_of(m): f for m, f in factors.items()}, **config), dense

    return make


def _without(start: str) -> Callable[[str], str]:
    return lambda name: name.removeprefix(start)


def _swap(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def name_of(name: str) -> str:
        for before, after in pairs:
            name = name.replace(before, after)
        return name

    return name_of


_SMALL: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 32, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip

# PEFT takes experts of their own in all layers or in none.
_ONE_LAYER = {**_SMALL, "num_hidden_layers": 1}

_LLAMA = {
    "model.layers.0.self_attn.q_proj": (16, 16),
    "model.layers.1.mlp.down_proj": (16, 24),
}
_GPT2 = {"transformer.h.0.attn.c_attn": (48, 16), "transformer.h.1.mlp.c_proj": (16, 64)}
_BERT = {
    "bert.encoder.layer.0.attention.self.query": (16, 16),
    "bert.encoder.layer.1.output.dense": (16, 24),
}
_DISTILBERT = {
    "distilbert.transformer.layer.0.attention.q_lin": (16, 16),
    "distilbert.transformer.layer.1.ffn.lin1": (24, 16),
}
_GEMMA3 = {
    "model.language_model.layers.0.self_attn.q_proj": (32, 32),
    "model.vision_tower.encoder.layers.0.self_attn.q_proj": (16, 16),
}
_VIT = {
    "vit.layers.0.attention.q_proj": (16, 16),
    "vit.layers.1.mlp.fc2": (16, 24),
}


def _bert() -> Any:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "vocab_size")  # fmt: skip
    return tf.BertForMaskedLM(tf.BertConfig(**{name: _SMALL[name] for name in names}))


def gemma3() -> Any:
    text = {**_SMALL, "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1,
            "head_dim": 16, "vocab_size": 300}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 28, "patch_size": 14}  # fmt: skip
    config = tf.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=299,
        boi_token_index=297, eoi_token_index=298,
    )  # fmt: skip
    return tf.Gemma3ForConditionalGeneration(config)


def phi3() -> Any:
    return tf.Phi3ForCausalLM(tf.Phi3Config(**_SMALL))


def mixtral() -> Any:
    return tf.MixtralForCausalLM(tf.MixtralConfig(**_ONE_LAYER, num_local_experts=3))


def granite() -> Any:
    return tf.GraniteMoeForCausalLM(
        tf.GraniteMoeConfig(**_ONE_LAYER, num_local_experts=3, num_experts_per_tok=2)
    )


def qwen3_moe() -> Any:
    own = {"num_experts": 3, "moe_intermediate_size": 12, "head_dim": 4, "num_experts_per_tok": 2}
    return tf.Qwen3MoeForCausalLM(tf.Qwen3MoeConfig(**_ONE_LAYER, **own, decoder_sparse_step=1))


def gpt_oss() -> Any:
    return tf.GptOssForCausalLM(
        tf.GptOssConfig(**{**_SMALL, "head_dim": 4, "num_local_experts": 3, "layer_types": None})
    )


def _phi3_fused(g: np.random.Generator) -> Made:
    shapes = {"model.layers.0.self_attn.qkv_proj": (32, 16),
              "model.layers.1.mlp.gate_up_proj": (48, 16)}  # fmt: skip
    return renamed(shapes, str)(g)


def _phi3_apart(*parts: str) -> Callable[[np.random.Generator], Made]:
    rows = {"q_proj": (0, 16), "k_proj": (16, 8), "v_proj": (24, 8)}
    halves = {"gate_proj": 0, "up_proj": 24}

    def make(g: np.random.Generator) -> Made:
        dense = {
            "model.layers.0.self_attn.qkv_proj.weight": np.zeros((32, 16)),
            "model.layers.1.mlp.gate_up_proj.weight": np.zeros((48, 16)),
        }
        factors = {}
        for part in parts:
            if part in rows:
                at, height = rows[part]
                module, where = "model.layers.0.self_attn", "qkv_proj"
            else:
                at, height = halves[part], 24
                module, where = "model.layers.1.mlp", "gate_up_proj"
            factors[f"{module}.{part}"] = pair(g, height, 16)
            own = product(factors[f"{module}.{part}"])
            dense[f"{module}.{where}.weight"][at : at + height] += own
        return linear(factors), dense

    return make


def _stack(module: str, up: int, hidden: int, turned: bool) -> Callable[[Any], Made]:
    def make(g: np.random.Generator) -> Made:
        found = {
            "gate_up_proj": [pair(g, 2 * up, hidden) for _ in range(3)],
            "down_proj": [pair(g, hidden, up) for _ in range(3)],
        }
        dense = {}
        for parameter, experts in found.items():
            deltas = np.stack([product(one) for one in experts])
            dense[f"{module}.{parameter}"] = deltas.transpose(0, 2, 1) if turned else deltas
        return stacked(found, module), dense

    return make


def _experts(
    module: str, called: str, names: tuple[str, str, str], up: int, hidden: int,
    only: int | None = None,
) -> Callable[[Any], Made]:  # fmt: skip
    """A layer each. called: the module in the file. names: of gate, up and down. only: one."""
    gate, above, down = names

    def make(g: np.random.Generator) -> Made:
        whole = np.zeros((3, 2 * up, hidden))
        below = np.zeros((3, hidden, up))
        factors = {}
        for expert in range(3) if only is None else (only,):
            own = f"{called}.{expert}"
            factors[f"{own}.{gate}"] = pair(g, up, hidden)
            factors[f"{own}.{above}"] = pair(g, up, hidden)
            factors[f"{own}.{down}"] = pair(g, hidden, up)
            whole[expert, :up] = product(factors[f"{own}.{gate}"])
            whole[expert, up:] = product(factors[f"{own}.{above}"])
            below[expert] = product(factors[f"{own}.{down}"])
        return linear(factors), {f"{module}.gate_up_proj": whole, f"{module}.down_proj": below}

    return make


def _granite_before(g: np.random.Generator) -> Made:
    """A stack each, the parameter of a layer of its own."""
    module = "model.layers.0.block_sparse_moe"
    found = {"input_linear": (48, 16), "output_linear": (16, 24)}
    tensors: dict[str, Array] = {}
    targets, dense = [], {}
    today = {"input_linear": "gate_up_proj", "output_linear": "down_proj"}
    for layer, shape in found.items():
        experts = [pair(g, *shape) for _ in range(3)]
        one, config = stacked({"weight": experts}, f"{module}.{layer}")
        tensors |= one
        targets += list(config["target_parameters"])  # type: ignore[call-overload]
        dense[f"{module}.experts.{today[layer]}"] = np.stack([product(x) for x in experts])
    return (tensors, {"target_modules": [], "target_parameters": targets}), dense


def _gpt_oss_single(g: np.random.Generator) -> Made:
    module = "model.layers.0.mlp.experts"
    factors, up, down = {}, [], []
    for expert in range(3):
        factors[f"{module}.gate_up_projs.{expert}"] = pair(g, 48, 16)
        factors[f"{module}.down_projs.{expert}"] = pair(g, 16, 24)
        up.append(product(factors[f"{module}.gate_up_projs.{expert}"]).T)
        down.append(product(factors[f"{module}.down_projs.{expert}"]).T)
    dense = {f"{module}.gate_up_proj": np.stack(up), f"{module}.down_proj": np.stack(down)}
    return linear(factors), dense


def _vit() -> Any:
    return tf.ViTForImageClassification(
        tf.ViTConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                     num_attention_heads=2, image_size=8, patch_size=4)
    )  # fmt: skip


_OLD_VIT = _swap(
    (".layers.", ".encoder.layer."), ("attention.q_proj", "attention.attention.query"),
    (".mlp.fc2", ".output.dense"),
)  # fmt: skip

FAMILIES = {
    "a model with its head and without": Family(
        lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_SMALL)),
        {
            "causal": renamed(_LLAMA, str),
            "bare": renamed(_LLAMA, _without("model.")),
            "compiled": renamed(_LLAMA, lambda n: f"_orig_mod.{n}"),
            "sharded": renamed(
                _LLAMA,
                _swap((".self_attn", "._fsdp_wrapped_module.self_attn"),
                      (".mlp.", "._checkpoint_wrapped_module.mlp.")),
            ),
            "distributed": renamed(_LLAMA, lambda n: f"module.{n}"),
            "wrapped twice": renamed(_LLAMA, lambda n: f"base_model.model.{n}"),
        },
    ),
    "GPT-2": Family(
        lambda: tf.GPT2LMHeadModel(
            tf.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=16)
        ),
        {
            "with a head": renamed(_GPT2, str, conv1d=True),
            "bare": renamed(_GPT2, _without("transformer."), conv1d=True),
        },
    ),
    "BERT": Family(
        _bert, {"with a head": renamed(_BERT, str), "bare": renamed(_BERT, _without("bert."))}
    ),
    "DistilBERT": Family(
        lambda: tf.DistilBertForMaskedLM(
            tf.DistilBertConfig(dim=16, hidden_dim=24, n_layers=2, n_heads=2, vocab_size=32)
        ),
        {
            "with a head": renamed(_DISTILBERT, str),
            "bare": renamed(_DISTILBERT, _without("distilbert.")),
        },
    ),
    "a vision-language model": Family(
        gemma3,
        {
            "today": renamed(_GEMMA3, str),
            "before 4.52": renamed(
                _GEMMA3,
                _swap(("model.language_model.", "language_model.model."),
                      ("model.vision_tower.", "vision_tower.vision_model.")),
            ),
            "between": renamed(_GEMMA3, _swap(("vision_tower.", "vision_tower.vision_model."))),
            "bare": renamed(_GEMMA3, _without("model.")),
        },
    ),
    "a vision transformer": Family(
        _vit,
        {"today": renamed(_VIT, str), "before 5": renamed(_VIT, _OLD_VIT)},
    ),
    "fused layers": Family(
        phi3,
        {
            "fused": _phi3_fused,
            "apart": _phi3_apart("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"),
            "q and up alone": _phi3_apart("q_proj", "up_proj"),
            "v alone": _phi3_apart("v_proj"),
        },
    ),
    "Mixtral": Family(
        mixtral,
        {
            "stack": _stack("model.layers.0.mlp.experts", 24, 16, False),
            "w1": _experts("model.layers.0.mlp.experts",
                           "model.layers.0.block_sparse_moe.experts", ("w1", "w3", "w2"), 24, 16),
            "one of them": _experts(
                "model.layers.0.mlp.experts", "model.layers.0.block_sparse_moe.experts",
                ("w1", "w3", "w2"), 24, 16, only=1,
            ),
        },
    ),
    "Qwen3-MoE": Family(
        qwen3_moe,
        {
            "stack": _stack("model.layers.0.mlp.experts", 12, 16, False),
            "a layer each": _experts(
                "model.layers.0.mlp.experts", "model.layers.0.mlp.experts",
                ("gate_proj", "up_proj", "down_proj"), 12, 16,
            ),
            "a layer each, bare": _experts(
                "model.layers.0.mlp.experts", "layers.0.mlp.experts",
                ("gate_proj", "up_proj", "down_proj"), 12, 16,
            ),
        },
    ),
    "Granite": Family(
        granite,
        {
            "stack": _stack("model.layers.0.block_sparse_moe.experts", 24, 16, False),
            "before 5": _granite_before,
        },
    ),
    "gpt-oss": Family(
        gpt_oss,
        {
            "stack": _stack("model.layers.0.mlp.experts", 24, 16, True),
            "single layers": _gpt_oss_single,
        },
    ),
}  # fmt: skip


def changes(model: Any, folder: Path) -> Dense:
    """What PEFT makes of a model's parameters with an adapter, less what they were: float64."""
    import copy

    from peft import PeftModel

    before = {n: p.detach().double().numpy() for n, p in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PEFT warns of keys that it does not find
        warnings.filterwarnings("ignore", category=FutureWarning)
        # Of its own renaming of experts, right or not (peft 0.21.2, `_convert_peft_config_moe`).
        warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not match")
        loaded = PeftModel.from_pretrained(copy.deepcopy(model).double(), folder)
    merged = loaded.merge_and_unload()
    after = {n: p.detach().double().numpy() for n, p in merged.named_parameters()}
    return {name: after[name] - before[name] for name in before}


def tiny(family: str) -> Any:
    torch.manual_seed(0)
    return FAMILIES[family].model().eval()
