"""The real part of a library: adapters that PEFT trained, with checkpoints, and their base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["LAYERS", "write_base", "write_trained"]

LAYERS, _VOCABULARY, _LENGTH = 2, 512, 32
RUNS, STEPS, _BETWEEN = 6, 4, 6


def write_base(folder: Path) -> Path:
    """Write a random base model of GPT-2's width in bfloat16, unless it is there.

    Its weights are of the size of GPT-2's own, so that bfloat16 rounds them as it would GPT-2's.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        config = GPT2Config(
            n_embd=768, n_layer=LAYERS, n_head=12, n_inner=64, vocab_size=_VOCABULARY,
            n_positions=_LENGTH, initializer_range=0.14,
        )  # fmt: skip
        GPT2LMHeadModel(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def write_trained(base: Path, top: Path) -> list[str]:
    """Train runs on texts of their own, and give the names of their checkpoints."""
    names = [f"trained-{run}-{step}" for run in range(RUNS) for step in range(STEPS)]
    for run in range(RUNS):
        if not (top / f"trained-{run}-{STEPS - 1}" / "adapter_config.json").exists():
            _train(base, top, run)
    return names


def _train(base: Path, top: Path, run: int) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2LMHeadModel

    torch.manual_seed(run)
    plain = GPT2LMHeadModel.from_pretrained(base, dtype=torch.float32)
    rank = (4, 8, 16)[run % 3]
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["c_attn"], fan_in_fan_out=True)
    model: Any = get_peft_model(plain, lora)
    chosen = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(chosen, lr=2e-3)
    text = torch.randint(0, _VOCABULARY, (8, _LENGTH))
    for step in range(STEPS):
        for _ in range(_BETWEEN):
            rows = text[torch.randint(0, len(text), (4,))]
            model(input_ids=rows, labels=rows).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        model.peft_config["default"].base_model_name_or_path = "gpt2"
        model.save_pretrained(top / f"trained-{run}-{step}")
