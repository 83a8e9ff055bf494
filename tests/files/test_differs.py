"""What does not fit a base model is told by its neighbours and by the axis that differs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.files.checkpoint import Checkpoint
from superpose.files.differs import missing_hint, nearest_name, rows_agree, shape_hint

NAMES = [
    *(f"model.layers.{n}.self_attn.{p}.weight" for n in range(40) for p in ("qkv_proj", "o_proj")),
    *(f"model.layers.{n}.mlp.gate_up_proj.weight" for n in range(40)),
    "model.embed_tokens.weight",
    "lm_head.weight",
]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("model.layers.7.self_attn.o_prj.weight", "model.layers.7.self_attn.o_proj.weight"),
        ("layers.99.self_attn.o_proj.weight", "model.layers.39.self_attn.o_proj.weight"),
        ("down_blocks.1.attentions.to_k", None),
    ],
)
def test_the_nearest_name_is_that_of_the_same_layer_where_there_is_one(
    name: str, near: str | None
) -> None:
    assert nearest_name(name, NAMES) == near


def test_what_stands_beside_a_missing_layer_is_named() -> None:
    said = missing_hint("model.layers.3.self_attn.q_proj.weight", NAMES)
    assert "Its `model.layers.3.self_attn` has o_proj, qkv_proj." in said
    assert "nearest name is `model.layers.3.self_attn." in said
    assert missing_hint("x", []).startswith("Was the adapter trained on another base model")


@pytest.mark.parametrize(
    ("name", "own", "stored", "words", "said"),
    [
        ("lm_head.weight", (66, 8), (64, 8), 0, "Only the vocabulary differs: .* 2 tokens more"),
        ("lm_head.weight", (60, 8), (64, 8), 0, "Only the vocabulary differs: .* 4 tokens fewer"),
        ("lm_head.weight", (64, 9), (64, 8), 0, "Axis 1 differs, 9 in the adapter and 8"),
        ("model.embed_tokens.weight", (8, 66), (8, 64), 1, "Only the vocabulary differs"),
        ("model.layers.0.q.weight", (9, 8), (8, 8), 0, "Axis 0 differs"),
        ("model.layers.0.q.weight", (9, 9), (8, 8), 0, "of other sizes altogether"),
    ],
)
def test_a_shape_is_told_by_the_axis_that_differs(
    name: str, own: tuple[int, ...], stored: tuple[int, ...], words: int, said: str
) -> None:
    found = shape_hint(name, own, stored, Path("org/base"), {}, words=words)
    assert re.search(said, found), found


def test_a_copy_agrees_by_the_rows_that_both_have(tmp_path: Path) -> None:
    own = normal(8, 4)
    base = Checkpoint.open(write_checkpoint(tmp_path / "base", {"a.weight": own}))
    more = np.concatenate([own, normal(3, 4, seed=2)])
    assert rows_agree(base, "a.weight", more)
    assert rows_agree(base, "a.weight", own[:5])
    assert not rows_agree(base, "a.weight", more[1:])
    assert not rows_agree(base, "a.weight", np.ones((8, 5)))
