"""Models that adapters are trained on and loaded into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Host", "load"]


@dataclass(frozen=True)
class Host:
    """A base model as an adapter sees it.

    path: a transformers folder. auto: the class of transformers that reads it. bare: the adapter
    belongs to the model without its head, as AutoModel gives it. split: the folder's layers are
    those that the base has fused, q_proj, k_proj and v_proj for qkv_proj.
    """

    path: str
    auto: str = "AutoModelForCausalLM"
    bare: bool = False
    split: bool = False


def load(host: Host, dtype: str) -> tuple[Any, Any]:
    """Read a host; gives the whole model, and the part of it that an adapter is put on."""
    import transformers

    model = getattr(transformers, host.auto).from_pretrained(host.path, dtype=dtype)
    return model, model.base_model if host.bare else model
