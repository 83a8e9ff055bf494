"""The names that a base model's files promise are those that transformers' model has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers as tf
from tests.names.families import FAMILIES, gemma3

from superpose.baking.found import tree_of_base
from superpose.files.checkpoint import Checkpoint
from superpose.names.identity import parse

_TEXT: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 40, "pad_token_id": 0, "head_dim": 8,
}  # fmt: skip
_VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


def _qwen2_vl() -> Any:
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 14}
    text = {**_TEXT, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    config = tf.Qwen2VLConfig(text_config=text, vision_config=vision)
    return tf.Qwen2VLForConditionalGeneration(config)


def _llava() -> Any:
    config = tf.LlavaConfig(
        text_config=tf.LlamaConfig(**_TEXT), vision_config=tf.CLIPVisionConfig(**_VISION)
    )
    return tf.LlavaForConditionalGeneration(config)


def _paligemma() -> Any:
    config = tf.PaliGemmaConfig(
        text_config=tf.GemmaConfig(**_TEXT), vision_config=tf.SiglipVisionConfig(**_VISION),
        projection_dim=16,
    )  # fmt: skip
    return tf.PaliGemmaForConditionalGeneration(config)


def _idefics3() -> Any:
    config = tf.Idefics3Config(
        text_config=tf.LlamaConfig(**_TEXT).to_dict(), vision_config=_VISION, scale_factor=1
    )
    return tf.Idefics3ForConditionalGeneration(config)


def _opt() -> Any:
    return tf.OPTForCausalLM(
        tf.OPTConfig(hidden_size=16, ffn_dim=24, num_hidden_layers=1, num_attention_heads=2,
                     vocab_size=40, word_embed_proj_dim=16, max_position_embeddings=16)
    )  # fmt: skip


def _bloom() -> Any:
    return tf.BloomForCausalLM(tf.BloomConfig(hidden_size=16, n_layer=1, n_head=2, vocab_size=40))


def _neox() -> Any:
    return tf.GPTNeoXForCausalLM(
        tf.GPTNeoXConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                         num_attention_heads=2, vocab_size=40)
    )  # fmt: skip


def _mamba() -> Any:
    return tf.MambaForCausalLM(tf.MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=40))


def _roberta() -> Any:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "vocab_size")  # fmt: skip
    return tf.RobertaForSequenceClassification(tf.RobertaConfig(**{n: _TEXT[n] for n in names}))


def _bart() -> Any:
    return tf.BartForConditionalGeneration(
        tf.BartConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                      decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
                      vocab_size=40, max_position_embeddings=16)
    )  # fmt: skip


def _t5() -> Any:
    return tf.T5ForConditionalGeneration(
        tf.T5Config(d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, vocab_size=40)
    )


def _clip() -> Any:
    text = {**_VISION, "vocab_size": 40, "max_position_embeddings": 16}
    config = tf.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=16)
    return tf.CLIPModel(config)


def _clip_text() -> Any:
    return tf.CLIPTextModel(
        tf.CLIPTextConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                          num_attention_heads=2, vocab_size=40, max_position_embeddings=16)
    )  # fmt: skip


def _whisper() -> Any:
    return tf.WhisperForConditionalGeneration(
        tf.WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                         decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
                         vocab_size=60, pad_token_id=0, num_mel_bins=8, bos_token_id=1,
                         eos_token_id=2, decoder_start_token_id=1, max_source_positions=8,
                         max_target_positions=8)
    )  # fmt: skip


def _bare_llama() -> Any:
    return tf.LlamaModel(tf.LlamaConfig(**_TEXT))


MODELS: dict[str, Callable[[], Any]] = {
    **{name: family.model for name, family in FAMILIES.items()},
    "Gemma 3": gemma3,
    "Qwen2-VL": _qwen2_vl,
    "Llava": _llava,
    "PaliGemma": _paligemma,
    "Idefics3": _idefics3,
    "OPT": _opt,
    "BLOOM": _bloom,
    "GPT-NeoX": _neox,
    "Mamba": _mamba,
    "RoBERTa": _roberta,
    "BART": _bart,
    "T5": _t5,
    "CLIP": _clip,
    "CLIP's text model": _clip_text,
    "Whisper": _whisper,
    "a bare Llama": _bare_llama,
}


@pytest.mark.parametrize("kind", MODELS)
def test_each_layer_of_the_model_has_the_name_that_its_files_promise(
    tmp_path: Path, kind: str
) -> None:
    import torch

    with torch.device("meta"):
        model = MODELS[kind]()
    own = [name for name, _ in model.named_parameters() if "experts" not in name]
    model.to_empty(device="cpu").save_pretrained(tmp_path)
    base = Checkpoint.open(tmp_path)
    tree = tree_of_base(base)
    wrong = {}
    for name in own:
        spelled = tree.called(parse(name))
        if spelled != name:
            wrong[name] = spelled
    assert not wrong
