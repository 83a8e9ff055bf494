"""The two ends of a model, embedding and output layer, are told by what transformers calls them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from tests.baking.checkpoints import write_checkpoint
from tests.names.bodies import HALVES, RENAMED, TEXT, WITH_A_HEAD

from superpose.files.checkpoint import Checkpoint
from superpose.names.stored import end_of

MORE: dict[str, Callable[[], Any]] = {
    "GPT": lambda: tf.OpenAIGPTLMHeadModel(
        tf.OpenAIGPTConfig(n_embd=32, n_layer=2, n_head=4, vocab_size=64)
    ),
    "GPT-2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64)
    ),
    "BERT": lambda: tf.BertForMaskedLM(tf.BertConfig(**TEXT)),
    "Llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**TEXT)),
    "T5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4, vocab_size=64)
    ),
    "Whisper": lambda: tf.WhisperForConditionalGeneration(
        tf.WhisperConfig(**HALVES, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                         decoder_start_token_id=1, num_mel_bins=8, max_source_positions=16)
    ),
}  # fmt: skip

LANGUAGE = {k: make for k, make in RENAMED.items() if k in (
    "LLaVA-NeXT", "LLaVA-OneVision", "Mistral 3", "InternVL", "Qwen2.5-VL", "Fuyu"
)}  # fmt: skip
MODELS = {**WITH_A_HEAD, **LANGUAGE, **MORE}
del MODELS["DeBERTa"]  # a classifier


def ends(model: Any) -> tuple[set[str], set[str]]:
    """The names of the embedding and of the output layer."""
    found = []
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        found.append(
            {
                f"{name}.weight"
                for name, module in model.named_modules(remove_duplicate=False)
                if module is layer
            }
        )
    return found[0], found[1]


@pytest.mark.parametrize("kind", MODELS)
def test_the_ends_are_known_and_the_one_that_is_not_stored_is_the_other(
    kind: str, tmp_path: Path
) -> None:
    model = MODELS[kind]()
    inputs, outputs = ends(model)
    assert {end_of(name) for name in inputs} == {"input"}, inputs
    assert {end_of(name) for name in outputs} == {"output"}, outputs
    model.config.tie_word_embeddings = True
    model.get_output_embeddings().weight = model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint.open(tmp_path)
    for name in inputs | outputs:
        stored = checkpoint.resolve(name)
        assert stored is not None, name
        right = model.get_input_embeddings().weight.detach()
        assert np.array_equal(checkpoint.read(stored), right.to(torch.float32).numpy()), name


def test_mamba_as_its_authors_write_it_has_its_embedding_at_both_ends(tmp_path: Path) -> None:
    embedding = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    write_checkpoint(tmp_path / "base", {"backbone.embedding.weight": embedding})
    base = Checkpoint.open(tmp_path / "base")
    for name in ("lm_head.weight", "backbone.embedding.weight"):
        assert base.resolve(name) == "backbone.embedding.weight"
