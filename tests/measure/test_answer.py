"""Answers at several task weights at once are those of each weighting alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import WriteAdapter

from superpose.data.prompt import Prompt
from superpose.formats import load
from superpose.measure.answer import answers
from superpose.measure.sweep import weightings
from superpose.model import SuperposedModel, load_base


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_each_weighting_answers_as_it_does_alone(
    tiny_base: Path, write_adapter: WriteAdapter, temperature: float
) -> None:
    base = load_base(str(tiny_base))
    modules = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.o_proj")
    paths = [write_adapter(f"a{k}", seed=k, modules=modules, width=32, alpha=20) for k in range(2)]
    prompt = Prompt(base.tokenizer, max_tokens=None)
    points = weightings(["a0", "a1"], [1.0, 0.5])
    asked = {"max_new_tokens": 12, "temperature": temperature, "seed": 3}
    with SuperposedModel(base.model, [load(path) for path in paths]) as model:
        together = answers(model, prompt, points, ["One?", "A longer one?"], **asked)
        alone = [
            answer
            for question in ("One?", "A longer one?")
            for point in points
            for answer in answers(model, prompt, [point], [question], **asked)
        ]
    assert together == alone
    assert len(np.unique([answer.text for answer in together])) > 2
