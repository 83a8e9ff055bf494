"""Each renaming of transformers 5, by a name before it and the same weight's after it."""

from __future__ import annotations

import re

import pytest

from superpose.names.identity import RENAMINGS, parse, unwrapped
from superpose.names.stored import candidates

MOE, VIT, DETR = "layers.0.block_sparse_moe", "encoder.layer.0", "encoder.layers.0"

RENAMED = [
    (f"{MOE}.input_linear.weight", f"{MOE}.experts.gate_up_proj"),
    (f"{MOE}.output_linear.weight", f"{MOE}.experts.down_proj"),
    (f"{MOE}.gate.weight", "layers.0.mlp.gate.weight"),
    ("layers.0.mlp.experts.3.w1.weight", "layers.0.mlp.experts.3.gate_proj.weight"),
    ("layers.0.mlp.experts.3.w3.weight", "layers.0.mlp.experts.3.up_proj.weight"),
    ("layers.0.mlp.experts.3.w2.weight", "layers.0.mlp.experts.3.down_proj.weight"),
    ("layers.0.mlp.experts.fc1.weight", "layers.0.mlp.experts.gate_up_proj"),
    ("layers.0.mlp.experts.fc2.weight", "layers.0.mlp.experts.down_proj"),
    ("layers.0.mlp.router.layer.weight", "layers.0.mlp.router.weight"),
    (f"{VIT}.norm.weight", "layers.0.norm.weight"),
    (f"{VIT}.attention.attention.query.weight", "layers.0.attention.q_proj.weight"),
    (f"{VIT}.attention.attention.key.weight", "layers.0.attention.k_proj.weight"),
    (f"{VIT}.attention.self.value.weight", "layers.0.attention.v_proj.weight"),
    (f"{VIT}.attention.output.dense.weight", "layers.0.attention.o_proj.weight"),
    (f"{VIT}.intermediate.dense.weight", "layers.0.mlp.fc1.weight"),
    (f"{VIT}.output.dense.weight", "layers.0.mlp.fc2.weight"),
    ("layers.0.mlp.weights_out.weight", "layers.0.mlp.down_proj.weight"),
    (f"{DETR}.self_attn.out_proj.weight", f"{DETR}.self_attn.o_proj.weight"),
    (f"{DETR}.fc1.weight", f"{DETR}.mlp.fc1.weight"),
    ("vision_tower.vision_model.post.weight", "vision_tower.post.weight"),
    ("embed_out.weight", "lm_head.weight"),
]


def test_each_rule_turns_the_name_before_into_the_one_after_and_knows_both() -> None:
    rules = [rule for family in RENAMINGS for rule in family.rules]
    assert len(rules) == len(RENAMED)
    for rule, (before, after) in zip(rules, RENAMED, strict=True):
        assert rule.before.search(before), before
        assert not rule.before.search(after), after
        assert re.search(rule.after, after), after
        assert not re.search(rule.after, before) or "router" in before, before
        assert parse(before).identity == parse(after).identity, before


@pytest.mark.parametrize(
    ("parameter", "stored"),
    [
        ("model.language_model.layers.0.norm.weight", "language_model.model.layers.0.norm.weight"),
        ("model.language_model.layers.0.norm.weight", "model.layers.0.norm.weight"),
        ("model.language_model.layers.0.norm.weight", "language_model.layers.0.norm.weight"),
        ("language_model.model.layers.0.norm.weight", "model.language_model.layers.0.norm.weight"),
        ("model.layers.0.norm.weight", "model.language_model.layers.0.norm.weight"),
        ("model.text_model.layers.0.norm.weight", "text_model.model.layers.0.norm.weight"),
        ("transformer.layers.0.norm.weight", "model.layers.0.norm.weight"),
        ("transformer.h.0.ln_1.weight", "h.0.ln_1.weight"),
        ("h.0.ln_1.weight", "transformer.h.0.ln_1.weight"),
        ("lm_head.weight", "language_model.lm_head.weight"),
        ("lm_head.weight", "text_model.lm_head.weight"),
        ("lm_head.weight", "embed_out.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("cls.predictions.decoder.bias", "cls.predictions.bias"),
        ("bert.embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.gamma"),
        ("bert.embeddings.LayerNorm.bias", "bert.embeddings.LayerNorm.beta"),
        ("conv.parametrizations.weight.original0", "conv.weight_g"),
        ("conv.parametrizations.weight.original1", "conv.weight_v"),
        *((f"model.{new}", f"model.{old}") for old, new in (*RENAMED[:2], *RENAMED[6:9])),
    ],
)  # fmt: skip
def test_a_parameter_is_looked_for_by_the_names_that_files_have_for_it(
    parameter: str, stored: str
) -> None:
    tops = [stored.partition(".")[0]]
    assert any(stored in names for names in candidates(parameter, tops))


@pytest.mark.parametrize("name", ["module.h.0.mlp.fc.weight", "module.module.h.0.mlp.fc.weight"])
def test_what_data_parallel_training_puts_before_a_name_is_no_part_of_it(name: str) -> None:
    assert unwrapped(name) == "h.0.mlp.fc.weight"
