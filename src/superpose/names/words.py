"""The words that stand before a weight's own name, and say no more than what it was wrapped in."""

from __future__ import annotations

WRAPPERS = frozenset(
    "_orig_mod _fsdp_wrapped_module _fpw_module _checkpoint_wrapped_module _forward_module".split()
)
"""Modules that torch.compile, FSDP, activation checkpointing and DeepSpeed put around others."""

CHAINS = frozenset(
    """
    model.language_model language_model.model model.text_model text_model.model model.model
    language_model.text_model distilbert.transformer
    """.split()
)
"""Two such words in a row that mean one body: of a model of several kinds of input, of one wrapped
in a class of its own."""

BODIES = frozenset(
    """
    model base_model module transformer language_model text_model llm backbone gpt_neox
    gpt_neox_japanese albert audio_spectrogram_transformer beit bert biogpt bit blip bridgetower
    bros canine clap clip convbert convnext convnextv2 cpmant cvt data2vec_audio data2vec_text
    data2vec_vision deberta decision_transformer deit dinat dinov2 dinov2_with_registers distilbert
    donut dpt efficientnet electra ernie esm fnet focalnet funnel glpn gte hiera hubert ibert
    ijepa layoutlm layoutlmv2 layoutlmv3 led levit lilt longformer luke lxmert markuplm mobilebert
    mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 mpnet mra nomic_bert nystromformer owlv2 owlvit
    perceiver poolformer prophetnet pvt pvt_v2 reformer regnet rembert resnet roberta
    roberta_prelayernorm roc_bert roformer rwkv sam segformer sew sew_d siglip siglip2 splinter
    swiftformer swin swin2sr swinv2 switch_transformers tapas timesformer unispeech unispeech_sat
    videomae vilt visual_bert vit vits vivit wav2vec2 wav2vec2_bert wav2vec2_conformer wavlm x_clip
    yoso
    """.split()
)
"""What a model with a head calls the model without one (`base_model_prefix`), and what stands in
its place inside another model. Source: transformers 5.24. Words that tell two halves of one model
apart (encoder, decoder, vision_model, talker, ...) are none of these."""

HEADS = frozenset(
    """
    lm_head embed_out score classifier qa_outputs cls proj_out output_projection logits_proj
    v_head value_head pre_classifier pooler_head token_classifier classification_head summary
    """.split()
)
"""First words of what a model with a head has beside the model without one."""

TOWERS = frozenset(
    """
    visual vision_tower vision_model image_tower video_tower vision_encoder vision_backbone
    vision_embed_tokens audio_tower audio_model speech_encoder multi_modal_projector projector
    connector qformer query_tokens language_projection image_newline embed_vision embed_audio
    mm_projector vision_projector aligner resampler
    """.split()
)
"""First words of what stands beside the language model in a model of several kinds of input."""

CORE = frozenset(
    """
    layers layer h blocks block encoder decoder embeddings embedding embed_tokens embed_in wte wpe
    word_embeddings tokens_embed norm ln_f final_layernorm shared final_layer_norm
    """.split()
)
"""First words of what every body has: two prefixes before them are two names of one body."""

OTHERS = (
    "vision visual image audio speech sound video talker code_predictor mtp draft dit expert vlm"
).split()
"""Parts of words that name another half of a model than the one whose layers come first."""
