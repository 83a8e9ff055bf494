"""Weights finer than one an adapter, fitted on a tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from superpose import load
from superpose.data.prompt import Prompt
from superpose.data.questions import generate
from superpose.measure.calibrate import measure
from superpose.measure.finer import finer_weights
from superpose.model import SuperposedModel
from superpose.model.base_model import load_base

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")


@pytest.mark.parametrize("objective", ["mean", "worst"])
def test_regrets_are_counted_on_the_rows_that_are_held_out(
    tiny_base: Path, write_adapter: Any, objective: Literal["mean", "worst"]
) -> None:
    """The own adapter has no regret on any rows, however hard those held out are."""
    base = load_base(str(tiny_base))
    adapter = load(write_adapter("a", modules=MODULES, width=32, base_model="tiny-llama"))
    prompt = Prompt(base.tokenizer, max_tokens=160)
    domains = {
        kind: prompt.encode_all(generate(kind, 1, 9, seed=0)[1]) for kind in ("math", "finance")
    }
    with SuperposedModel(base.model, [adapter]) as model:
        own = [measure(model, rows, [[1.0]], gradients=False).nll[0] for rows in domains.values()]
        found = finer_weights(
            model, ["a"], domains, [1.0], own, by="layer", objective=objective, steps=0
        )
    assert found.start == pytest.approx(0.0, abs=1e-5)
    held = [rows / len(rows) for rows in own]
    assert max(abs(rows - rows.mean()).max() for rows in held) > 1e-3, "the rows are unlike"
