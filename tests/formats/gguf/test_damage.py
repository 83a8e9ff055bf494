"""GGUF files that are none of a LoRA, or of no such model: each is refused by the tensor's name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.gguf.test_header import head, info, text

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused
from superpose.formats.gguf import read_base

WriteLora = Callable[..., Path]
Factors = Callable[..., dict[str, np.ndarray]]
Config = Callable[..., Path]

A, B = b"blk.0.attn_v.weight.lora_a", b"blk.0.attn_v.weight.lora_b"
KEYS = {"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama"}
Q4_0, Q8_0 = 2, 8


def file_of(*tensors: bytes, data: int = 4096, keys: dict[str, str] | None = None) -> bytes:
    """A LoRA file by hand, of tensors as `info` gives them (dimensions: columns first)."""
    own = KEYS if keys is None else keys
    noted = [text(k.encode()) + struct.pack("<I", 8) + text(v.encode()) for k, v in own.items()]
    start = head(tensors=len(tensors), keys=len(own)) + b"".join(noted) + b"".join(tensors)
    return start + bytes(-len(start) % 32 + data)


FACTORS = (info(A, (8, 2)), info(B, (2, 8), offset=64))
STACKED = (
    info(b"token_embd.weight.lora_a", (2, 8, 3)),
    info(b"token_embd.weight.lora_b", (2, 4, 3), offset=192),
)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "no architecture": (
        file_of(*FACTORS, keys={k: v for k, v in KEYS.items() if "arch" not in k}),
        r"names no general\.architecture",
    ),
    "a textual alpha": (
        file_of(*FACTORS, keys={**KEYS, "adapter.lora.alpha": "16"}),
        r"adapter\.lora\.alpha is 16; it must be a finite float",
    ),
    "no tensors": (file_of(), "holds no LoRA factors"),
    "a stack of embeddings": (
        file_of(*STACKED),
        r"`token_embd\.weight\.lora_a` has shape \(3, 8, 2\); an embedding is a matrix",
    ),
    "a type of llama.cpp's own": (
        file_of(info(A, (32, 2), Q4_0), info(B, (2, 8), offset=64)),
        r"`blk\.0\.attn_v\.weight\.lora_a` is of ggml's type 2; .*\n.*--outtype f32",
    ),
    "a gap": (
        file_of(info(A, (8, 2)), info(B, (2, 8), offset=96)),
        r"lora_b` does not start where the one before it ends",
    ),
    "cut off": (file_of(*FACTORS, data=100), r"truncated: tensor `.*lora_b` goes on behind"),
    "rows of 33 in blocks of 32": (
        file_of(info(A, (33, 2), Q8_0), info(B, (2, 8), offset=96)),
        r"lora_a` has rows of 33, no multiple of 32",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_holds_no_such_factors_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, words = DAMAGED[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        superpose.load(path)
    assert str(path) in str(caught.value)


def test_the_same_file_undamaged_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.gguf").write_bytes(file_of(*FACTORS))
    adapter = superpose.load(tmp_path / "good.gguf")
    assert list(adapter) == ["model.layers.0.self_attn.v_proj"]


@pytest.mark.parametrize("alpha", [np.nan, np.inf])
def test_an_alpha_that_is_no_number_is_bad_input(
    alpha: float, write_lora: WriteLora, factors: Factors
) -> None:
    with pytest.raises(BadInput, match=rf"adapter\.lora\.alpha is {alpha}; it must be a finite"):
        superpose.load(write_lora("a", factors("blk.0.attn_v"), alpha=alpha))


def test_a_tensor_that_the_base_models_architecture_lacks_is_named(
    write_lora: WriteLora, factors: Factors, config_json: Config
) -> None:
    path = write_lora("a", factors("blk.0.ssm_in") | factors("blk.0.attn_v"))
    base = config_json("LlamaForCausalLM", num_attention_heads=4)
    with pytest.raises(Refused, match=r"`blk\.0\.ssm_in`: LlamaForCausalLM has no such layer"):
        superpose.load(path, base=base)


def test_an_expert_that_the_base_model_lacks_is_named(tmp_path: Path, config_json: Config) -> None:
    base = config_json("Qwen2MoeForCausalLM", num_attention_heads=4, num_experts=2)
    module = "model.layers.0.mlp.experts.5.down_proj"
    adapter = Adapter({module: Delta.of(np.ones((8, 1)), np.ones((1, 4)))}, name="five")
    with pytest.raises(BadInput, match=rf"`{module}` is expert 5, and the base model has 2"):
        superpose.save(adapter, tmp_path / "a.gguf", base=base)
    assert not (tmp_path / "a.gguf").exists()


def test_what_is_no_base_model_is_refused(
    tmp_path: Path, write_lora: WriteLora, factors: Factors
) -> None:
    with pytest.raises(BadInput, match=r"is no model's GGUF file"):
        read_base(write_lora("a", factors("blk.0.attn_v")))
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        read_base(tmp_path)


def test_a_file_that_is_cut_off_while_it_is_read_is_damage(
    write_lora: WriteLora, factors: Factors, monkeypatch: Any
) -> None:
    """Its header is read, then its values, and another process may write in between."""
    from superpose.formats.gguf import read

    path = write_lora("a", factors("blk.0.attn_v"))
    header = read.read_gguf_header(path)
    monkeypatch.setattr(read, "read_gguf_header", lambda _: header)
    path.write_bytes(path.read_bytes()[: header.data + 10])
    with pytest.raises(BadInput, match="the file became shorter while it was read"):
        superpose.load(path)
