"""Random language models that read bytes, for tests and benchmarks of what needs no trained one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["byte_tokenizer", "write_byte_llama"]


def byte_tokenizer(end: str = "<end>", **kinds: str) -> Any:
    """Give a tokenizer of single bytes and one token that ends a text.

    kinds: which of transformers' special tokens that is; by default the end of a sequence alone.
    """
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    bytes_only = ByteLevelBPETokenizer()
    bytes_only.train_from_iterator([], vocab_size=257, special_tokens=[end])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_only._tokenizer, **(kinds or {"eos_token": end})
    )


def write_byte_llama(folder: Path, **sizes: int) -> None:
    """Write a transformers folder: a Llama of these sizes, of seed 0, and its tokenizer."""
    import torch
    import transformers

    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        **sizes,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
