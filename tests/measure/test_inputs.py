"""The measured second moments are those of the very tensors that go into the modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from superpose.data.domain import read_rows
from superpose.data.prompt import Example, Prompt
from superpose.errors import BadInput
from superpose.measure.inputs import _nystrom, measure_inputs
from superpose.model import load_base

LAYER = "model.layers.1"
ATTENTION = tuple(f"self_attn.{name}_proj" for name in "qvo")
READERS = (*ATTENTION, "mlp.up_proj", "mlp.down_proj")
MODULES = tuple(f"{LAYER}.{name}" for name in READERS)


@pytest.fixture
def examples(tiny_base: Path, question_files: dict[str, Path]) -> list[Example]:
    prompt = Prompt(load_base(tiny_base).tokenizer, max_tokens=80)
    return prompt.encode_all(read_rows(question_files["sums"])[:7])


def seen(model: torch.nn.Module, name: str, examples: list[Example]) -> np.ndarray:
    """The second moment, from one row at a time without padding."""
    found: list[torch.Tensor] = []
    handle = model.get_submodule(name).register_forward_pre_hook(
        lambda _, args: found.append(args[0].reshape(-1, args[0].shape[-1]))
    )
    with torch.no_grad():
        for example in examples:
            model(input_ids=torch.tensor([[*example.question, *example.answer][:-1]]))
    handle.remove()
    x = torch.cat(found).double().numpy()
    return np.asarray(x.T @ x / len(x))


def test_moments_are_means_over_all_tokens_without_the_padding(
    tiny_base: Path, examples: list[Example]
) -> None:
    model = load_base(tiny_base).model
    told: list[int] = []
    found = measure_inputs(model, MODULES, examples, batch_tokens=200, progress=told.append)
    assert sum(told) == found.rows == len(examples)
    assert found.tokens == sum(example.length for example in examples)
    for name in MODULES:
        whole = found[name].whole
        np.testing.assert_allclose(whole, seen(model, name, examples), rtol=1e-4, atol=1e-6)
    assert found[MODULES[0]] is found[MODULES[1]]  # q and v read one tensor
    assert found[MODULES[0]] is not found[MODULES[2]]


def test_wide_inputs_are_sketched_in_the_same_pass(
    tiny_base: Path, examples: list[Example]
) -> None:
    model = load_base(tiny_base).model
    whole = measure_inputs(model, MODULES, examples)
    found = measure_inputs(model, MODULES, examples, widest=4, directions=12)
    for name in MODULES:
        sketch, C = found[name], whole[name]
        assert sketch.whole is None
        assert sketch.trace == pytest.approx(C.trace, rel=1e-4)
        best = C.sketched(len(sketch.values))
        assert sketch.values.sum() > 0.9 * best.values.sum()
        np.testing.assert_allclose(sketch.vectors.T @ sketch.vectors, np.eye(12), atol=1e-4)


def test_a_sketch_of_a_moment_of_few_directions_is_the_moment() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    C, omega = X @ X.T, rng.standard_normal((50, 24))
    found = _nystrom(C @ omega, omega, float(np.trace(C)), 12)
    np.testing.assert_allclose(found.times(np.eye(50)), C, atol=1e-4)


def test_no_rows_are_refused(tiny_base: Path) -> None:
    with pytest.raises(BadInput, match="no rows"):
        measure_inputs(load_base(tiny_base).model, MODULES, [])
