"""Tiny random models, and adapters of them that PEFT itself has saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.exactness.cases import Case
from benchmarks.exactness.protocol import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["write_base", "write_case"]

_DEFAULTS = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
_SPREAD = 0.1
"""Of every trained number. With it an adapter's delta has about the size of the weight."""
_FACTOR = re.compile(r"\.lora_(embedding_)?[AB]\.")


def write_base(case: Case, folder: Path) -> Path:
    """Write a case's random model as a transformers folder, where it is not there; gives that."""
    import torch

    path = folder / f"{case.base}-{case.base_dtype}"
    if not path.exists():
        torch.manual_seed(1)
        model = _BASES[case.base]()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):  # transformers begins with zeros
                    parameter.normal_(std=0.02)
        model.to(getattr(torch, case.base_dtype)).save_pretrained(path)
    return path


def write_case(case: Case, base: Path, folder: Path) -> Task:
    """Write a case's adapters into a folder of its own, made here; gives the task."""
    paths = []
    for number, settings in enumerate(case.adapters):
        path = folder / f"adapter-{number}"
        _write_adapter(path, base, _DEFAULTS | dict(settings), number, case.dtype)
        paths.append(path)
    if case.on_disk:
        _change(paths[-1] / "adapter_config.json", case.on_disk)
    ranks = tuple(int(each.get("r", _DEFAULTS["r"])) for each in case.adapters)
    return Task(
        case=case.name,
        base=str(base),
        adapters=tuple(map(str, paths)),
        weights=case.task_weights,
        ranks=ranks,
        out=str(folder / "out"),
    )


def _write_adapter(
    path: Path, base: Path, settings: Mapping[str, Any], seed: int, dtype: str
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(100 + seed)
    # In the adapter's own dtype: PEFT makes its factors in the base's.
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    config = LoraConfig(task_type="CAUSAL_LM", **settings)
    tuned = get_peft_model(model, config, autocast_adapter_dtype=False)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if _FACTOR.search(name):
                parameter.normal_(std=_SPREAD)
            elif parameter.requires_grad:
                # It stands at what the base has: a head, a bias, a magnitude, a token's row.
                parameter.add_(torch.randn_like(parameter) * _SPREAD)
    tuned.save_pretrained(str(path))


def _change(path: Path, keys: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(keys), indent=2))


def _llama() -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=False))


def _qwen2() -> PreTrainedModel:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**_SIZES, tie_word_embeddings=False))


def _mixtral() -> PreTrainedModel:
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            **_SIZES, num_local_experts=4, num_experts_per_tok=2, tie_word_embeddings=False
        )
    )


def _gpt2() -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, bos_token_id=1, eos_token_id=2)
    )


_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}

_BASES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "mixtral": _mixtral,
    "gpt2": _gpt2,
}
