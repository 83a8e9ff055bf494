"""Classifiers as people train them: a tiny base without a head, and PEFT's adapters with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from tests.baking.conftest import told_by_peft

ROWS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 2], [12, 13, 14, 15, 16, 17, 18, 2]])
"""Two rows of tokens, each with its end; nothing to pad."""

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 32}
GPT2 |= {"pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 2}
DISTIL = {"dim": 16, "hidden_dim": 24, "n_layers": 1, "n_heads": 2, "vocab_size": 32}
T5 = {
    "eos_token_id": 2,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 1,
    "num_heads": 2,
    "vocab_size": 32,
}
LLAMA = {**SMALL, "num_key_value_heads": 2}

BASES: Mapping[str, tuple[str, str, dict[str, Any], list[str], list[str] | None]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", LLAMA, ["q_proj"], None),
    "bare llama": ("LlamaConfig", "LlamaModel", LLAMA, ["q_proj"], None),
    "tied qwen": ("Qwen2Config", "Qwen2ForCausalLM", {**LLAMA, "tie_word_embeddings": True},
                  ["q_proj"], None),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT2, ["c_attn"], None),
    "bare gpt2": ("GPT2Config", "GPT2Model", GPT2, ["c_attn"], None),
    "bert": ("BertConfig", "BertForPreTraining", SMALL, ["query"], None),
    "bare bert": ("BertConfig", "BertModel", SMALL, ["query"], None),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", SMALL, ["query"], None),
    "distilbert": ("DistilBertConfig", "DistilBertForMaskedLM", {**DISTIL, "pad_token_id": 1},
                   ["q_lin"], ["pre_classifier"]),
    "deberta": ("DebertaV2Config", "DebertaV2ForMaskedLM", {**SMALL, "pooler_hidden_size": 16},
                ["query_proj"], ["pooler"]),
    "t5": ("T5Config", "T5ForConditionalGeneration", {**T5, "pad_token_id": 0,
           "decoder_start_token_id": 0}, ["q"], ["classification_head"]),
}  # fmt: skip
"""Name -> configuration, class of the base, settings, target modules, modules saved whole."""

AUTO = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}


def make_base(kind: str, folder: Path, **more: Any) -> Path:
    """Save a base model whose values are random."""
    config, model, settings, _, _ = BASES[kind]
    torch.manual_seed(0)
    made = getattr(transformers, model)(getattr(transformers, config)(**{**settings, **more}))
    made.save_pretrained(folder)
    return folder


def make_classifier(
    kind: str, base: Path, folder: Path, labels: int = 3, task: str = "SEQ_CLS", seed: int = 1,
    **settings: Any,
) -> Path:  # fmt: skip
    """Let PEFT save a classifier's adapter, every trained value random."""
    _, _, _, targets, whole = BASES[kind]
    torch.manual_seed(seed)
    config = {"target_modules": targets, "task_type": task, "modules_to_save": whole and [*whole]}
    with told_by_peft(), torch.no_grad():
        tuned = peft.get_peft_model(
            classifier(base, labels, task), peft.LoraConfig(r=4, lora_alpha=6, **config | settings)
        )
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.3)
        tuned.save_pretrained(folder)
    return folder


def classifier(folder: Path, labels: int | None = None, task: str = "SEQ_CLS") -> Any:
    """Load a model for a task, with a random head where the files have none."""
    options = {} if labels is None or task == "QUESTION_ANS" else {"num_labels": labels}
    with told_by_peft():
        return getattr(transformers, AUTO[task]).from_pretrained(folder, **options).eval()


def loaded_whole(folder: Path, task: str = "SEQ_CLS") -> Any:
    """Load a baked classifier, and see that its files have all that the model needs."""
    auto = getattr(transformers, AUTO[task])
    model, told = auto.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"], told
    assert not told["mismatched_keys"], told
    return model.eval()


def answers(model: Any) -> torch.Tensor:
    """What a classifier says of two rows."""
    with torch.no_grad():
        found = model(input_ids=ROWS)
    return found.start_logits if "start_logits" in found else found.logits


def by_peft(base: Path, adapter: Path, labels: int = 3, task: str = "SEQ_CLS") -> torch.Tensor:
    """What PEFT's merged model says: the truth."""
    with told_by_peft():
        model = peft.PeftModel.from_pretrained(classifier(base, labels, task), str(adapter))
        return answers(model.merge_and_unload().eval())
