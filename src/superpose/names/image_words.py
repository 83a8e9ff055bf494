"""Where kohya put an underscore for a dot: the words of which image models' module names are made.

`down_blocks_0_attentions_0_proj_in` is `down_blocks.0.attentions.0.proj_in`: the longest word that
there is, from the left. A name with a word that is none is not told. The words are those of the
linear layers and convolutions of diffusers 0.42.1's denoising models and of the text encoders that
its pipelines use, but for those of FLUX's and HunyuanVideo's original blocks, which the two dot in
different places.
"""

from __future__ import annotations

from functools import lru_cache

_JOINED = frozenset(
    """
    act_fn activation_fn adaLN_modulation adaln_global_mlp adaln_modulation adaln_proj
    adaln_single add_embedding add_k_proj add_q_proj add_v_proj after_proj all_final_layer
    all_x_embedder aspect_ratio_embedder attention_blocks audio_attn1 audio_attn2
    audio_caption_projection audio_dec_block audio_embeddings audio_ff audio_out_layer
    audio_pooled_text_embeddings audio_proj_in audio_proj_out audio_text_embeddings
    audio_text_transformer_blocks audio_time_embed audio_time_embeddings audio_to_video_attn
    av_cross_attention av_cross_attn_audio_scale_shift av_cross_attn_audio_v2a_gate
    av_cross_attn_video_a2v_gate av_cross_attn_video_scale_shift av_modulation base_attentions
    base_conv_in base_conv_out base_downsamplers base_midblock base_resnets base_time_embedding
    base_to_ctrl before_proj beta_proj ca_linear cap_embedder caption_embedder caption_proj
    caption_projection channelwise_linear_1 channelwise_linear_2 cond_embed cond_embeds_mapper
    cond_factory condition_embedder context_embedder context_embedder_2 context_proj
    context_refiner control_blocks control_to_base_for_conv_in controlnet_blocks
    controlnet_cond_embedding controlnet_down_blocks controlnet_mid_block
    controlnet_single_blocks controlnet_x_embedder conv1_local conv_1 conv_2 conv_depth conv_in
    conv_in_x_t conv_inverted conv_out conv_point conv_shortcut conv_skip conv_temp
    cross_attention cross_attention_proj cross_attn ctrl_attentions ctrl_conv_in
    ctrl_downsamplers ctrl_midblock ctrl_resnets ctrl_to_base delta_embedder depth_conv
    det_stages diff_blocks distilled_guidance_layer double_stream_modulation_img
    double_stream_modulation_txt down_block down_blocks down_proj early_stream_modulations
    embed_tokens embedding_proj encoder_hidden_states_proj encoder_proj face_adapter
    face_encoder far_patch_embedding feed_forward ff_context ff_in ff_out final_layer
    final_layer_norm final_linear final_norm gate_layer gate_proj global_cond_embedder
    global_proj glyph_projector guidance_embedder image_cond image_embedder image_projector
    img_emb img_in img_mlp img_mod img_qkv_proj in_layer in_proj
    init_repr_factory input_block input_embed input_layernorm input_proj insertion_k_proj
    insertion_q_proj intermediate_act_fn inverted_conv joint_transformer_blocks k_proj
    k_proj_cam kv_linear kv_mapper language_model latent_cond_embedder latent_embed layer_norm
    layer_norm1 layer_norm2 layerwise_blocks linear_1 linear_2 linear_3 linear_a_g linear_a_p
    linear_b_g linear_b_p linear_fc2 linear_g linear_in linear_out linear_x linear_z
    llm_cond_proj lm_head ln_q local_latents_linear mid_block mlm_layer mlp_in mlp_moe_gen
    mlp_out mode_blocks motion_modules noise_refiner norm1_context norm2_context norm_added_k
    norm_added_q norm_k norm_out norm_q o_proj out_layer out_proj out_proj_cam out_projection
    output_gate pair_repr_builder pair_update_layers patch_embed patch_embed_base
    patch_embedding patch_long patch_mid patch_short plucker_embedder plucker_proj point_conv
    pooled_text_embeddings pos_embed pos_embed_input pose_patch_embedding position_embedding
    position_embeddings post_attention_layernorm post_feedforward_layernorm postprocess_conv
    pre_feedforward_layernorm preprocess_conv prior_projector proj_attn proj_in proj_in_conv
    proj_mlp proj_out proj_out_1 proj_out_2 proj_to_clip_embeddings project_from_hidden
    project_to_hidden q_linear q_proj q_proj_cam raymap_embedder refiner_blocks
    relative_attention_bias res_blocks resolution_embedder rotary_emb rotary_pos_emb
    s_cycle_proj scale_output self_attention self_attn sequence_readout shared_adaln
    shared_expert single_stream_modulation single_stream_modulations single_transformer_blocks
    spatial_res_block swish_linear t_block t_conv t_embedder t_embedding temp_attentions
    temp_convs temporal_res_block temporal_transformer_blocks text_conv_layer text_embed
    text_embedder text_embedding text_embeddings text_fusion text_model text_modulation
    text_proj text_projection text_transformer_blocks time_caption_embed time_condition_embed
    time_emb_proj time_embed time_embed_r time_embedder time_embedding time_embeddings
    time_guidance_embed time_in time_mlp time_mod_proj time_pos_embed time_proj time_projection
    time_step_proj time_text_embed timestep_embedder timestep_proj to_add_out to_beta to_bias
    to_cond_embed to_g to_gamma to_gate to_global_embed to_k to_key to_kv to_local_embed to_out
    to_q to_qkv to_qkv_mlp_proj to_query to_timestep_embed to_v to_value token_embedding
    token_refiner token_type_embeddings transformer_blocks transformer_in transformer_layers
    transition_c_1 transition_c_2 transition_out tri_mult_in tri_mult_out
    txt_in txt_kv_proj txt_mlp txt_mod txt_mode_blocks up_block up_blocks up_proj
    v_proj v_proj_cam va_cross_attention va_modulation vace_blocks vace_patch_embedding
    video_dec_block video_pooled_text_embeddings video_text_embeddings
    video_text_transformer_blocks video_time_embeddings video_to_audio_attn visual_embeddings
    visual_modulation visual_transformer_blocks w_down w_gate w_up wi_0 wi_1 word_embeddings
    x_embedder x_embedders y_embedder y_proj z_cycle_proj
    """.split()
)
_SINGLE = frozenset(
    """
    DenseReluDense LayerNorm SelfAttention act activation adaln attention attentions attn attn1
    attn2 block blocks conv conv1 conv2 conv3 conv4 decoder dense depthwise down downsamplers
    dropout dwconv emb embed embeddings encoder fc1 fc2 ff ffn gate head image intermediate k
    key layer layers lin linear merger mha mhba mlp model modulation net norm norm1 norm2 norm3
    o out output perceiver pointwise pooler proj projector pwconv1 pwconv2 q qkv query resnets
    self shared transition txt up upsamplers upsamples v value visual w1 w2 w3 wi wo
    """.split()
)
# What the longest word alone would get wrong: AuraFlow's.
_PHRASES = {"ff_out_projection": "ff.out_projection"}

_LONGEST = max(word.count("_") for word in _JOINED) + 1


@lru_cache(maxsize=1 << 14)
def dotted(flat: str) -> str | None:
    """Give a module's name with its dots; None where a word of it is unknown."""
    tokens = flat.split("_")
    found: list[str] = []
    at = 0
    while at < len(tokens):
        for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
            word = _word("_".join(tokens[at : at + length]))
            if word is not None:
                found.append(word)
                at += length
                break
        else:
            return None
    return ".".join(found)


def _word(text: str) -> str | None:
    number = text[:1].isdigit() and "_" not in text  # `2-1` is one of Z-Image's
    if number or text in _JOINED or text in _SINGLE:
        return text
    return _PHRASES.get(text)
