"""Chat templates of the kinds that models have, and a tokenizer that merges bytes into words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["TEMPLATES", "chat_tokenizer", "write_chat_llama"]

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
"""As Gemma's: it refuses a system turn, trims, and begins with a token of its own."""

THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and not loop.last %}{{ m['content'].split('</think>')[-1] }}"
    "{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""As those of models that think: the prompt alone ends otherwise than it stands in the whole."""

TOOLS = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% if m['tool_calls'] %}{{ m['tool_calls'] | tojson }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

NO_END = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}" + (
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Of plain text: no token ends a turn, and tokens may merge where the answer begins."""

TEMPLATES = {
    "chatml": CHATML,
    "no system": NO_SYSTEM,
    "thinking": THINKING,
    "tools": TOOLS,
    "no end": NO_END,
}

_TEXT = (
    "What is two plus two? The answer is four. user: assistant: system: Be short and say why. "
    "<think>I have to add. </think> It is blue, because of the sky."
)


def chat_tokenizer(template: str | None = CHATML) -> Any:
    """Give a byte-level tokenizer with merges, tokens for turns, and a chat template."""
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        [_TEXT] * 8, vocab_size=330, min_frequency=1, special_tokens=["<end>", "<begin>"]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, eos_token="<end>", bos_token="<begin>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


def write_chat_llama(folder: Path, template: str | None = CHATML) -> None:
    """Write a transformers folder: a random Llama of two layers, and that tokenizer."""
    import torch
    import transformers

    tokenizer = chat_tokenizer(template)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        num_hidden_layers=2, hidden_size=32, intermediate_size=48, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
