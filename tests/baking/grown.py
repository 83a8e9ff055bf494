"""A base model to which tokens are added, and adapters that were trained after that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch
from tests.baking.conftest import Bench, llama, told_by_peft

ROWS = torch.tensor([[1, 5, 32, 33, 7], [2, 33, 9, 32, 3]])
"""Tokens of the base's vocabulary of 32, and two that were added."""

WHOLE = {"modules_to_save": ["embed_tokens", "lm_head"], "target_modules": ["q_proj"]}


def tied_llama() -> Any:
    return llama(tie_word_embeddings=True)


class Grown(Bench):
    """A base model, and adapters that were trained after tokens were added to it."""

    def grown(self, rows: int = 34) -> Any:
        with told_by_peft():
            model = self.model()
            torch.manual_seed(5)
            model.resize_token_embeddings(rows, mean_resizing=False)
        return model

    def trained(self, name: str, seed: int = 0, *, rows: int = 34, **settings: Any) -> Path:
        torch.manual_seed(seed)
        config = peft.LoraConfig(
            **{"r": 4, "lora_alpha": 6, "target_modules": ["q_proj"]} | settings
        )
        with told_by_peft(), torch.no_grad():
            model = peft.get_peft_model(self.grown(rows), config)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.normal_(0.0, 0.3)
            model.save_pretrained(self.folder / name)
        return self.folder / name

    def right(self, adapter: Path, rows: int = 34) -> torch.Tensor:
        """What PEFT says of the resized base with one adapter."""
        with told_by_peft():
            return said(peft.PeftModel.from_pretrained(self.grown(rows), str(adapter)).eval(), rows)


def said(model: Any, rows: int = 34) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ROWS.clamp(max=rows - 1)).logits
    return found
