"""Tiny models of many architectures: what their bodies are called, and what their files say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers as tf

TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "vocab_size": 64,
}  # fmt: skip
_GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64}
HALVES: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 64,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
_MROPE = {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}

Make = Callable[[], Any]


def _of(model: str, config: str, **settings: Any) -> Make:
    return lambda: getattr(tf, model)(getattr(tf, config)(**settings))


def _seeing(name: str, text: Callable[[], Any], vision: Callable[[], Any], **settings: Any) -> Make:
    """Give a model of a language model and a tower."""

    def make() -> Any:
        config = getattr(tf, f"{name}Config")
        return getattr(tf, f"{name}ForConditionalGeneration")(
            config(text_config=text(), vision_config=vision(), **settings)
        )

    return make


def _llama() -> Any:
    return tf.LlamaConfig(**TEXT, pad_token_id=0)


def _qwen2() -> Any:
    return tf.Qwen2Config(**TEXT, num_key_value_heads=2)


def _clip() -> Any:
    return tf.CLIPVisionConfig(**VISION)


def _siglip() -> Any:
    return tf.SiglipVisionConfig(**VISION)


WITH_A_HEAD: dict[str, Make] = {
    "RoBERTa": _of("RobertaForMaskedLM", "RobertaConfig", **TEXT),
    "ELECTRA": _of("ElectraForMaskedLM", "ElectraConfig", **TEXT, embedding_size=32),
    "DeBERTa": _of("DebertaV2ForSequenceClassification", "DebertaV2Config", **TEXT),
    "ModernBERT": _of(
        "ModernBertForMaskedLM", "ModernBertConfig", **TEXT, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2,
    ),
    "OPT": _of(
        "OPTForCausalLM", "OPTConfig", hidden_size=32, ffn_dim=48, num_hidden_layers=2,
        num_attention_heads=4, vocab_size=64, word_embed_proj_dim=32,
    ),
    "BART": _of("BartForConditionalGeneration", "BartConfig", **HALVES),
    "GPT-NeoX": _of("GPTNeoXForCausalLM", "GPTNeoXConfig", **TEXT),
    "Falcon": _of(
        "FalconForCausalLM", "FalconConfig", hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, vocab_size=64,
    ),
    "BLOOM": _of(
        "BloomForCausalLM", "BloomConfig", hidden_size=32, n_layer=2, n_head=4, vocab_size=64
    ),
    "MPT": _of("MptForCausalLM", "MptConfig", d_model=32, n_layers=2, n_heads=4, vocab_size=64),
    "GPT-J": _of("GPTJForCausalLM", "GPTJConfig", **_GPT, rotary_dim=4),
    "XLNet": _of(
        "XLNetLMHeadModel", "XLNetConfig", d_model=32, n_layer=2, n_head=4, d_inner=48,
        vocab_size=64,
    ),
    "Mamba": _of(
        "MambaForCausalLM", "MambaConfig", hidden_size=32, num_hidden_layers=2, vocab_size=64
    ),
    "Qwen3-VL": _of(
        "Qwen3VLForConditionalGeneration", "Qwen3VLConfig",
        text_config={**TEXT, "num_key_value_heads": 2, "head_dim": 8,
                     "rope_scaling": {"rope_type": "default", "mrope_section": [1, 1, 2]}},
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "out_hidden_size": 32,
                       "intermediate_size": 16, "deepstack_visual_indexes": [0]},
        image_token_id=63, video_token_id=62, vision_start_token_id=61, vision_end_token_id=60,
    ),
}  # fmt: skip
"""Models whose head puts a prefix before the names of the body."""

RENAMED: dict[str, Make] = {
    "ViT": _of("ViTForImageClassification", "ViTConfig", **VISION),
    "BEiT": _of("BeitForImageClassification", "BeitConfig", **VISION),
    "DINOv2": _of("Dinov2ForImageClassification", "Dinov2Config", **VISION),
    "DETR": lambda: tf.DetrForObjectDetection(
        tf.DetrConfig(
            use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
            backbone_config=tf.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], out_features=["stage2"]
            ),
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=4,
        )
    ),
    "LLaVA-NeXT": _seeing("LlavaNext", _llama, _clip, image_token_index=63),
    "LLaVA-OneVision": _seeing(
        "LlavaOnevision", _qwen2, _siglip, image_token_index=63, video_token_index=62
    ),
    "Mistral 3": _seeing(
        "Mistral3",
        lambda: tf.MistralConfig(**TEXT, num_key_value_heads=2),
        lambda: tf.PixtralVisionConfig(**VISION),
        image_token_index=63,
    ),
    "InternVL": _seeing(
        "InternVL",
        _qwen2,
        lambda: tf.InternVLVisionConfig(**{**VISION, "image_size": [28, 28],
                                           "patch_size": [14, 14]}),
        image_token_id=63,
    ),
    "Qwen2.5-VL": _of(
        "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLConfig",
        text_config={**TEXT, "num_key_value_heads": 2, **_MROPE},
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "out_hidden_size": 32,
                       "intermediate_size": 16, "fullatt_block_indexes": [0]},
        image_token_id=63, video_token_id=62, vision_start_token_id=61, vision_end_token_id=60,
    ),
    "Qwen2-Audio": _of(
        "Qwen2AudioForConditionalGeneration", "Qwen2AudioConfig",
        text_config={**TEXT, "num_key_value_heads": 2, "model_type": "qwen2"},
        audio_config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2,
                      "encoder_ffn_dim": 16, "num_mel_bins": 8, "max_source_positions": 16,
                      "model_type": "qwen2_audio_encoder"},
        audio_token_index=63,
    ),
    "Fuyu": _of(
        "FuyuForCausalLM", "FuyuConfig", **TEXT, patch_size=4, num_channels=1, pad_token_id=0
    ),
}  # fmt: skip
"""Models that transformers 5 calls otherwise than their files, which say what it was before."""
