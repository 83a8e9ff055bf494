"""Where a model that answers stops."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from superpose.data.prompt import Prompt

__all__ = ["ending"]


def ending(model: Any, prompt: Prompt, ends: Collection[int]) -> dict[str, Any]:
    """Give `generate` what ends an answer and fills up behind it. ends: beside the model's own."""
    filled = {"pad_token_id": prompt.tokenizer.eos_token_id}
    if not ends:
        return filled
    own = model.generation_config.eos_token_id
    held = [own] if isinstance(own, int) else list(own or ())
    return {**filled, "eos_token_id": [*held, *(end for end in ends if end not in held)]}
