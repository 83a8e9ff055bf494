"""What vLLM has to be told to serve an adapter."""

from __future__ import annotations

VLLM_DEFAULT_RANK = 16
"""The largest rank that vLLM serves when nothing is said."""

# What `--max-lora-rank` takes (vLLM 0.26, LoRAConfig); an adapter may have any rank up to it.
_MAX_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def vllm_max_rank(rank: int) -> int | None:
    """Give the least `--max-lora-rank` that serves an adapter of this rank; None: no value does."""
    return next((value for value in _MAX_LORA_RANKS if value >= rank), None)
