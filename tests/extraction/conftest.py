"""Base models and their fine-tuned selves, written by transformers, with a known change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers

LINEAR = (torch.nn.Linear, transformers.pytorch_utils.Conv1D)


class Tuned(NamedTuple):
    """Both folders, and the exact change W - W0 of each parameter that changed, as stored."""

    base: Path
    finetuned: Path
    changes: dict[str, np.ndarray]


def tiny(kind: str, **settings: Any) -> Any:
    """A random model of two blocks; `kind` is a class of transformers."""
    sizes: dict[str, dict[str, Any]] = {
        "LlamaForCausalLM": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 61,
            "tie_word_embeddings": False,
        },
        "GPT2LMHeadModel": {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 61},
    }
    model = getattr(transformers, kind)
    torch.manual_seed(0)
    return model(model.config_class(**{**sizes[kind], **settings})).eval()


def tune(model: Any, *, rank: int, size: float = 0.02, heads: bool = False) -> None:
    """Add a random change of this rank to every linear layer but heads, in place."""
    generator = torch.Generator().manual_seed(1)
    for name, module in model.named_modules():
        if isinstance(module, LINEAR) and (heads or name != "lm_head"):
            rows, columns = module.weight.shape
            left = torch.randn(rows, rank, generator=generator)
            right = torch.randn(rank, columns, generator=generator)
            module.weight.data += size * (left @ right) / (rows * columns) ** 0.25


@pytest.fixture
def tuned(tmp_path: Path) -> Callable[..., Tuned]:
    """Write a base model and its fine-tuned self.

    change: what to do to the model beside `tune`. dtype: of both files. shard: largest file.
    """

    def write(
        kind: str = "LlamaForCausalLM",
        change: Callable[[Any], None] = lambda model: None,
        *,
        rank: int = 3,
        dtype: torch.dtype = torch.float32,
        shard: str = "50GB",
        **settings: Any,
    ) -> Tuned:
        model = tiny(kind, **settings).to(dtype)
        before = {name: x.double().clone() for name, x in model.state_dict().items()}
        model.save_pretrained(tmp_path / "base", max_shard_size=shard)
        if rank:
            tune(model, rank=rank)
        change(model)
        model.save_pretrained(tmp_path / "finetuned", max_shard_size=shard)
        after = model.state_dict()
        changes = {
            name: (after[name].double() - x).numpy()
            for name, x in before.items()
            if after[name].shape == x.shape and (after[name].double() != x).any()
        }
        return Tuned(tmp_path / "base", tmp_path / "finetuned", changes)

    return write
