"""Tiny models of every layout, adapters that PEFT makes for them, and what PEFT makes of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
TOKENS = torch.arange(16).reshape(2, 8)


def llama(**settings: Any) -> Any:
    return LlamaForCausalLM(LlamaConfig(**SIZES, **settings))


def tied() -> Any:
    return llama(tie_word_embeddings=True)


def gpt2() -> Any:
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 32}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2))


def mixtral() -> Any:
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=3, num_experts_per_tok=2))


def qwen3_moe() -> Any:
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "head_dim": 8}
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**SIZES, **sizes))


def gpt_oss() -> Any:
    """A stack of experts (experts, in_features, out_features); down_proj's matrices are square."""
    sizes = {**SIZES, "intermediate_size": 16}
    sizes |= {"num_local_experts": 3, "num_experts_per_tok": 2, "head_dim": 8}
    return GptOssForCausalLM(GptOssConfig(**sizes))


class Bench:
    """One base model on disk, and adapters trained by nobody: their factors are random."""

    def __init__(self, folder: Path, model: Any) -> None:
        self.folder = folder
        self.base = folder / "base"
        model.save_pretrained(self.base)

    def model(self, **options: Any) -> Any:
        """The base model, loaded anew."""
        return load(self.base, **options)

    def adapter(self, name: str, seed: int = 0, **settings: Any) -> Path:
        """Let PEFT write an adapter whose every trained tensor is random."""
        torch.manual_seed(seed)
        config = LoraConfig(**{"r": 4, "lora_alpha": 6} | settings)
        with told_by_peft(), torch.no_grad():
            model = get_peft_model(self.model(), config)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.normal_(0.0, 0.3)
            model.save_pretrained(self.folder / name)
        return self.folder / name

    def logits_with(self, adapter: Path) -> torch.Tensor:
        """The logits that PEFT gives with one adapter, not merged."""
        with told_by_peft():
            return logits(PeftModel.from_pretrained(self.model(), str(adapter)))

    def summed(self, adapters: Sequence[Path], weights: Sequence[float]) -> dict[str, torch.Tensor]:
        """Base + sum_k weight_k (merged_k - base) in float64, each merged by PEFT in float32."""
        before = {k: v.double() for k, v in self.model(dtype=torch.float32).state_dict().items()}
        total = dict(before)
        for path, weight in zip(adapters, weights, strict=True):
            with told_by_peft():
                model = PeftModel.from_pretrained(self.model(dtype=torch.float32), str(path))
                merged = model.merge_and_unload().state_dict()
            for name, value in merged.items():
                total[name] = total[name] + weight * (value.double() - before[name])
        return total


@contextmanager
def told_by_peft() -> Iterator[None]:
    """Let PEFT warn of what these tests are about: tied layers, flags that it corrects."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load(folder: Path, **options: Any) -> Any:
    """Load a model and see that its files hold all of it, and nothing else."""
    model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    assert not any(told.values()), told
    return model.eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found = model(input_ids=TOKENS).logits
    assert isinstance(found, torch.Tensor)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[Callable[[], Any]], Bench]:
    """Make a Bench around a model made by the function given."""

    def make(model: Callable[[], Any]) -> Bench:
        torch.manual_seed(0)
        return Bench(tmp_path, model())

    return make
