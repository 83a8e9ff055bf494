"""Blocks of rows make up the tensor that one dense sum would, wherever they are cut."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.baking import blocks
from superpose.baking.plan import make_plan
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank import Term

NAME = "model.layers.0.mlp.experts.down_proj"


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """A stack of experts, some of which change, in any layout, and perhaps one stored whole."""
    size = st.integers(1, 5)
    count, rows, columns = draw(size), draw(size), draw(size)
    return {
        "shape": (count, rows, columns),
        "changed": draw(st.sets(st.integers(0, count - 1), min_size=1)),
        "ranks": draw(st.lists(size, min_size=1, max_size=3)),
        "stored": draw(st.booleans()),
        "block": draw(st.integers(1, 40)),
        "dtype": draw(st.sampled_from([np.float32, np.float64, np.float16])),
        "seed": draw(st.integers(0, 1000)),
    }


@settings(max_examples=60, deadline=None)
@given(stacks())
def test_any_blocks_of_rows_are_the_dense_sum(case: dict[str, Any]) -> None:
    count, rows, columns = case["shape"]
    base = normal(*case["shape"], seed=case["seed"], dtype=case["dtype"])
    right = base.astype(np.float64)
    deltas = {}
    for expert in case["changed"]:
        place = Place(NAME.rpartition(".")[0], "down_proj", "experts", block=expert, blocks=count)
        terms = tuple(
            Term(0.5 - i, normal(rows, r, seed=expert + i), normal(r, columns, seed=expert + 7 * i))
            for i, r in enumerate(case["ranks"])
        )
        deltas[place.key] = Delta(terms, place=place)
        right[expert] += sum(c * (B.astype(float) @ A.astype(float)) for c, B, A in terms)
    replacements = {}
    if case["stored"]:
        whole = normal(*case["shape"], seed=99)
        replacements[NAME] = Replacement((Part(0.25, Stored(whole)),), NAME)
        right += 0.25 * (whole - base.astype(np.float64))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", case["block"])
        write_checkpoint(Path(folder) / "base", {NAME: base}, model_type="qwen3_5_moe")
        checkpoint = Checkpoint.open(Path(folder) / "base")
        plan = make_plan(checkpoint, Adapter(deltas, replacements=replacements))
        rows = blocks.new_rows(checkpoint, plan.targets[NAME], bounds=True)
        found = [b._replace(base=b.base.copy(), new=b.new.copy()) for b in rows]
    assert np.concatenate([b.base for b in found]).tobytes() == base.tobytes()
    new = np.concatenate([b.new for b in found]).reshape(base.shape)
    noise = np.concatenate([b.noise for b in found if b.noise is not None]).reshape(base.shape)
    assert new.dtype == (np.float64 if case["stored"] or base.dtype == np.float64 else np.float32)
    assert (np.abs(new - right) <= noise + 1e-15).all()
