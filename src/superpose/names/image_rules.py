"""What an image model's own names are in diffusers', and which rows of a fused layer are whose.

A line: the flat name (dots made underscores, as kohya does, so that one table holds for every
spelling), `{}` for a number; where that tells two architectures apart, out_features over
in_features; diffusers' dotted names, which share the rows evenly, or as `*4` says.

Source: diffusers 0.42.1, `loaders/lora_conversion_utils.py`, the functions `_convert_..._to_diffusers`
of each model; of SD3, `loaders/single_file_utils.py`, convert_sd3_transformer_checkpoint_to_diffusers.
"""
# ruff: noqa: E501

from __future__ import annotations

BFL = """
double_blocks_{}_img_attn_qkv -> transformer_blocks.{}.attn.to_q transformer_blocks.{}.attn.to_k transformer_blocks.{}.attn.to_v
double_blocks_{}_txt_attn_qkv -> transformer_blocks.{}.attn.add_q_proj transformer_blocks.{}.attn.add_k_proj transformer_blocks.{}.attn.add_v_proj
double_blocks_{}_img_attn_proj -> transformer_blocks.{}.attn.to_out.0
double_blocks_{}_txt_attn_proj -> transformer_blocks.{}.attn.to_add_out
double_blocks_{}_img_mlp_(?:0|fc1) 4 -> transformer_blocks.{}.ff.net.0.proj
double_blocks_{}_img_mlp_(?:2|fc2) 0.25 -> transformer_blocks.{}.ff.net.2
double_blocks_{}_txt_mlp_(?:0|fc1) 4 -> transformer_blocks.{}.ff_context.net.0.proj
double_blocks_{}_txt_mlp_(?:2|fc2) 0.25 -> transformer_blocks.{}.ff_context.net.2
double_blocks_{}_img_mod_(?:lin|linear) -> transformer_blocks.{}.norm1.linear
double_blocks_{}_txt_mod_(?:lin|linear) -> transformer_blocks.{}.norm1_context.linear
single_blocks_{}_linear1 7 -> single_transformer_blocks.{}.attn.to_q single_transformer_blocks.{}.attn.to_k single_transformer_blocks.{}.attn.to_v single_transformer_blocks.{}.proj_mlp*4
single_blocks_{}_linear2 0.2 -> single_transformer_blocks.{}.proj_out
single_blocks_{}_modulation_(?:lin|linear) -> single_transformer_blocks.{}.norm.linear
double_blocks_{}_img_mlp_0 6 -> transformer_blocks.{}.ff.linear_in
double_blocks_{}_img_mlp_2 0.3333333333333333 -> transformer_blocks.{}.ff.linear_out
double_blocks_{}_txt_mlp_0 6 -> transformer_blocks.{}.ff_context.linear_in
double_blocks_{}_txt_mlp_2 0.3333333333333333 -> transformer_blocks.{}.ff_context.linear_out
single_blocks_{}_linear1 9 -> single_transformer_blocks.{}.attn.to_qkv_mlp_proj
single_blocks_{}_linear2 0.25 -> single_transformer_blocks.{}.attn.to_out
single_stream_modulation_lin -> single_stream_modulation.linear
double_stream_modulation_img_lin -> double_stream_modulation_img.linear
double_stream_modulation_txt_lin -> double_stream_modulation_txt.linear
img_in -> x_embedder
txt_in -> context_embedder
vector_in_in_layer -> time_text_embed.text_embedder.linear_1
vector_in_out_layer -> time_text_embed.text_embedder.linear_2
final_layer_linear -> proj_out
single_blocks_{}_(q|k|v)_proj -> single_transformer_blocks.{}.attn.to_{}
single_blocks_{}_attn_out -> single_transformer_blocks.{}.attn.to_out.0
single_blocks_{}_mlp_in -> single_transformer_blocks.{}.ff.linear_in
single_blocks_{}_mlp_out -> single_transformer_blocks.{}.ff.linear_out
"""
"""FLUX.1, FLUX.2 and 3, HunyuanVideo."""

WAN = """
blocks_{}_self_attn_(q|k|v) -> blocks.{}.attn1.to_{}
blocks_{}_self_attn_o -> blocks.{}.attn1.to_out.0
blocks_{}_cross_attn_(q|k|v) -> blocks.{}.attn2.to_{}
blocks_{}_cross_attn_o -> blocks.{}.attn2.to_out.0
blocks_{}_cross_attn_(k|v)_img -> blocks.{}.attn2.add_{}_proj
blocks_{}_ffn_0 -> blocks.{}.ffn.net.0.proj
blocks_{}_ffn_2 -> blocks.{}.ffn.net.2
time_projection_1 -> condition_embedder.time_proj
head_head -> proj_out
text_embedding_0 -> condition_embedder.text_embedder.linear_1
text_embedding_2 -> condition_embedder.text_embedder.linear_2
time_embedding_0 -> condition_embedder.time_embedder.linear_1
time_embedding_2 -> condition_embedder.time_embedder.linear_2
img_emb_proj_1 -> condition_embedder.image_embedder.ff.net.0.proj
img_emb_proj_3 -> condition_embedder.image_embedder.ff.net.2
"""
"""Wan and SkyReels."""

Z_IMAGE = """
(layers|noise_refiner|context_refiner)_{}_attention_qkv 3 -> {}.{}.attention.to_q {}.{}.attention.to_k {}.{}.attention.to_v
(layers|noise_refiner|context_refiner)_{}_attention_out -> {}.{}.attention.to_out.0
(layers|noise_refiner|context_refiner)_{}_feed_forward_w([123]) -> {}.{}.feed_forward.w{}
(layers|noise_refiner|context_refiner)_{}_adaLN_modulation_{} -> {}.{}.adaLN_modulation.{}
layers_{}_attention_o -> layers.{}.attention.to_out.0
layers_{}_adaln_modulation -> layers.{}.adaln_modulation
"""
"""Z-Image and Ideogram."""

SD3 = """
joint_blocks_{}_x_block_(attn2?)_qkv -> transformer_blocks.{}.{}.to_q transformer_blocks.{}.{}.to_k transformer_blocks.{}.{}.to_v
joint_blocks_{}_x_block_(attn2?)_proj -> transformer_blocks.{}.{}.to_out.0
joint_blocks_{}_context_block_attn_qkv -> transformer_blocks.{}.attn.add_q_proj transformer_blocks.{}.attn.add_k_proj transformer_blocks.{}.attn.add_v_proj
joint_blocks_{}_context_block_attn_proj -> transformer_blocks.{}.attn.to_add_out
joint_blocks_{}_x_block_mlp_fc1 -> transformer_blocks.{}.ff.net.0.proj
joint_blocks_{}_x_block_mlp_fc2 -> transformer_blocks.{}.ff.net.2
joint_blocks_{}_context_block_mlp_fc1 -> transformer_blocks.{}.ff_context.net.0.proj
joint_blocks_{}_context_block_mlp_fc2 -> transformer_blocks.{}.ff_context.net.2
joint_blocks_{}_x_block_adaLN_modulation_1 -> transformer_blocks.{}.norm1.linear
joint_blocks_{}_context_block_adaLN_modulation_1 6 -> transformer_blocks.{}.norm1_context.linear
context_embedder -> context_embedder
"""
"""Stable Diffusion 3."""

ANIMA = """
blocks_{}_self_attn_(q|k|v)_proj -> transformer_blocks.{}.attn1.to_{}
blocks_{}_self_attn_output_proj -> transformer_blocks.{}.attn1.to_out.0
blocks_{}_cross_attn_(q|k|v)_proj -> transformer_blocks.{}.attn2.to_{}
blocks_{}_cross_attn_output_proj -> transformer_blocks.{}.attn2.to_out.0
blocks_{}_mlp_layer1 -> transformer_blocks.{}.ff.net.0.proj
blocks_{}_mlp_layer2 -> transformer_blocks.{}.ff.net.2
blocks_{}_adaln_modulation_self_attn_([12]) -> transformer_blocks.{}.norm1.linear_{}
blocks_{}_adaln_modulation_cross_attn_([12]) -> transformer_blocks.{}.norm2.linear_{}
blocks_{}_adaln_modulation_mlp_([12]) -> transformer_blocks.{}.norm3.linear_{}
final_layer_adaln_modulation_([12]) -> norm_out.linear_{}
final_layer_linear -> proj_out
x_embedder_proj_1 -> patch_embed.proj
"""
"""Anima, of Cosmos' transformer."""

KREA = """
blocks_{}_attn_w(q|k|v) -> transformer_blocks.{}.attn.to_{}
blocks_{}_attn_wo -> transformer_blocks.{}.attn.to_out.0
blocks_{}_attn_gate -> transformer_blocks.{}.attn.to_gate
blocks_{}_mlp_(gate|up|down) -> transformer_blocks.{}.ff.{}
txtfusion_(layerwise|refiner)_blocks_{}_attn_w(q|k|v) -> text_fusion.{}_blocks.{}.attn.to_{}
txtfusion_(layerwise|refiner)_blocks_{}_attn_wo -> text_fusion.{}_blocks.{}.attn.to_out.0
txtfusion_(layerwise|refiner)_blocks_{}_attn_gate -> text_fusion.{}_blocks.{}.attn.to_gate
txtfusion_(layerwise|refiner)_blocks_{}_mlp_(gate|up|down) -> text_fusion.{}_blocks.{}.ff.{}
txtfusion_projector -> text_fusion.projector
first -> img_in
last_linear -> final_layer.linear
tmlp_0 -> time_embed.linear_1
tmlp_2 -> time_embed.linear_2
tproj_1 -> time_mod_proj
txtmlp_1 -> txt_in.linear_1
txtmlp_3 -> txt_in.linear_2
"""
"""Krea 2."""

ACE_STEP = """
layers_{}_(self|cross)_attn_(q|k|v)_proj -> layers.{}.{}_attn.to_{}
layers_{}_(self|cross)_attn_o_proj -> layers.{}.{}_attn.to_out.0
layers_{}_mlp_(gate|up|down)_proj -> layers.{}.mlp.{}_proj
"""
"""ACE-Step 1.5."""

LTX = """
patchify_proj -> proj_in
audio_patchify_proj -> audio_proj_in
av_ca_video_scale_shift_adaln_single_emb_timestep_embedder_linear_([12]) -> av_cross_attn_video_scale_shift.emb.timestep_embedder.linear_{}
av_ca_video_scale_shift_adaln_single_linear -> av_cross_attn_video_scale_shift.linear
av_ca_audio_scale_shift_adaln_single_emb_timestep_embedder_linear_([12]) -> av_cross_attn_audio_scale_shift.emb.timestep_embedder.linear_{}
av_ca_audio_scale_shift_adaln_single_linear -> av_cross_attn_audio_scale_shift.linear
av_ca_a2v_gate_adaln_single_emb_timestep_embedder_linear_([12]) -> av_cross_attn_video_a2v_gate.emb.timestep_embedder.linear_{}
av_ca_a2v_gate_adaln_single_linear -> av_cross_attn_video_a2v_gate.linear
av_ca_v2a_gate_adaln_single_emb_timestep_embedder_linear_([12]) -> av_cross_attn_audio_v2a_gate.emb.timestep_embedder.linear_{}
av_ca_v2a_gate_adaln_single_linear -> av_cross_attn_audio_v2a_gate.linear
adaln_single_emb_timestep_embedder_linear_([12]) -> time_embed.emb.timestep_embedder.linear_{}
adaln_single_linear -> time_embed.linear
audio_adaln_single_emb_timestep_embedder_linear_([12]) -> audio_time_embed.emb.timestep_embedder.linear_{}
audio_adaln_single_linear -> audio_time_embed.linear
(audio_|)prompt_adaln_single_emb_timestep_embedder_linear_([12]) -> {}prompt_adaln.emb.timestep_embedder.linear_{}
(audio_|)prompt_adaln_single_linear -> {}prompt_adaln.linear
"""
"""LTX-2; what is not here has one name."""

UNET = """
input_blocks_0_0 -> conv_in
out_2 -> conv_out
time_embed_0 -> time_embedding.linear_1
time_embed_2 -> time_embedding.linear_2
label_emb_0_0 -> add_embedding.linear_1
label_emb_0_2 -> add_embedding.linear_2
"""
"""Of a U-Net, what is outside of its blocks."""
