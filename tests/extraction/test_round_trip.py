"""Extracting from a baked model gives the adapter back that was baked into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from superpose import Adapter, Delta, diff, extract
from superpose.baking import bake

if TYPE_CHECKING:
    from tests.extraction.conftest import Tuned

LINEAR = {
    "LlamaForCausalLM": {
        "model.layers.0.self_attn.k_proj": (16, 32),
        "model.layers.1.mlp.down_proj": (32, 48),
    },
    "GPT2LMHeadModel": {
        "transformer.h.0.attn.c_attn": (96, 32),
        "transformer.h.1.attn.c_proj": (32, 32),
        "transformer.h.1.mlp.c_fc": (128, 32),
    },
}


@pytest.mark.parametrize("kind", LINEAR)
def test_extract_undoes_bake(tuned: Callable[..., Tuned], tmp_path: Path, kind: str) -> None:
    base = tuned(kind, rank=0).base
    rng = np.random.default_rng(7)
    deltas = {
        module: Delta.of(
            rng.standard_normal((rows, 3)).astype(np.float32),
            rng.standard_normal((3, columns)).astype(np.float32),
            0.02,
        )
        for module, (rows, columns) in LINEAR[kind].items()
    }
    adapter = Adapter(deltas, "given", base_model=str(base))
    bake(base, adapter, tmp_path / "baked")
    found = extract(base, tmp_path / "baked", rank=3)
    assert found.leftovers == ()
    difference = diff(adapter, found.adapter, tolerance=1e-5)
    assert difference.same, difference.differing
    back = extract(tmp_path / "baked", base, rank=3).adapter
    assert diff(-adapter, back, tolerance=1e-5, same_base=True).same
