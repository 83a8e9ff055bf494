"""What is no fine-tuned model of this base is refused by file and tensor, and nonsense by name."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from superpose import extract
from superpose.errors import (
    BadInput,
    BadSetting,
    DifferentBase,
    MissingBase,
    Refused,
    SuperposeWarning,
)

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter
    from tests.extraction.conftest import Tuned

    MakeTuned = Callable[..., Tuned]


def rewrite(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def broken(path: Path, name: str, change: Callable[..., torch.Tensor | None]) -> None:
    """Change one tensor of a file, or take it away."""
    tensors = load_file(path)
    new = change(tensors.pop(name))
    save_file(tensors if new is None else {**tensors, name: new}, path)


Q = "model.layers.1.self_attn.q_proj.weight"


def test_a_layer_that_one_model_lacks_is_refused(tuned: MakeTuned) -> None:
    made = tuned()
    broken(made.finetuned / "model.safetensors", Q, lambda x: None)
    with pytest.raises(DifferentBase, match=f"finetuned: has no `{Q}`, and the base model .* does"):
        extract(made.base, made.finetuned, rank=3)
    with pytest.raises(DifferentBase, match=f"base: has `{Q}`, and the base model .* does not"):
        extract(made.finetuned, made.base, rank=3)


def test_a_layer_of_another_shape_is_refused(tuned: MakeTuned) -> None:
    made = tuned()
    broken(made.finetuned / "model.safetensors", Q, lambda x: x[:8].clone())
    problem = rf"`{Q}` has shape \(8, 32\), in the base model \(32, 32\)"
    with pytest.raises(DifferentBase, match=problem):
        extract(made.base, made.finetuned, rank=3)


@pytest.mark.parametrize(
    "name", ["v_head.summary.weight", "model.projector.weight", "score.weight"]
)
def test_a_head_of_any_name_that_one_model_lacks_is_left_out_and_said(
    tuned: MakeTuned, name: str
) -> None:
    """As trl's value head: it is no repeated layer, so that the model is no other one for it."""
    made = tuned()
    path = made.finetuned / "model.safetensors"
    save_file({**load_file(path), name: torch.ones(4, 32)}, path)
    for first, second in ((made.base, made.finetuned), (made.finetuned, made.base)):
        found = extract(first, second, rank=3)
        assert [left.name for left in found.leftovers] == [name]
        assert "without 1 that have no counterpart of their shape" in found.left_out
        assert "only in one model" in found._repr_html_()
        with pytest.raises(BadSetting, match=r"differs in shape, or only one model has it"):
            extract(first, second, rank=3, targets=[name.removesuffix(".weight")])


def test_an_output_layer_of_another_vocabulary_is_left_out_and_said(tuned: MakeTuned) -> None:
    made = tuned()
    name = "lm_head.weight"
    broken(made.finetuned / "model.safetensors", name, lambda x: x[:50].clone())
    found = extract(made.base, made.finetuned, rank=3)
    assert [(x.name, x.shape, x.base_shape) for x in found.leftovers] == [
        (name, (50, 32), (61, 32))
    ]
    assert "resized" in found._repr_html_()


def test_an_adapter_in_place_of_the_model_is_said_to_be_one(
    tuned: MakeTuned, write_adapter: WriteAdapter
) -> None:
    with pytest.raises(BadInput, match="is an adapter already, and no model") as caught:
        extract(tuned().base, write_adapter("math"), rank=1)
    assert "superpose diff" in str(caught.value)


def signalling(x: torch.Tensor) -> torch.Tensor:
    """One NaN of those of which NumPy says in a cast that they are none."""
    x = x.to(torch.float32).clone()
    x.view(-1).view(torch.int32)[0] = 0x7FA00000
    return x


@pytest.mark.parametrize("side", ["base", "finetuned"])
@pytest.mark.parametrize("name", [Q, "model.norm.weight"])
@pytest.mark.parametrize("change", [lambda x: x * torch.nan, signalling], ids=["quiet", "signal"])
def test_a_value_that_is_not_finite_is_refused_by_file_and_tensor(
    tuned: MakeTuned, side: str, name: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    made = tuned()
    broken(getattr(made, side) / "model.safetensors", name, change)
    problem = rf"{side}/model.safetensors: tensor `{name}` holds NaN or infinity"
    with pytest.raises(BadInput, match=problem):
        extract(made.base, made.finetuned, rank=3)


def test_a_change_that_float32_cannot_hold_is_refused(tuned: MakeTuned) -> None:
    made = tuned()
    for folder, sign in ((made.base, -1), (made.finetuned, 1)):
        broken(folder / "model.safetensors", Q, lambda x, s=sign: torch.full_like(x, s * 3e38))
    with pytest.raises(BadInput, match=f"`{Q}` differs by more than float32 holds"):
        extract(made.base, made.finetuned, rank=3)


def test_quantised_weights_are_refused(tuned: MakeTuned) -> None:
    made = tuned()
    broken(made.finetuned / "model.safetensors", Q, lambda x: x.to(torch.int8))
    with pytest.raises(Refused, match=f"`{Q}` is I8: quantised weights have no difference"):
        extract(made.base, made.finetuned, rank=3)


def test_a_coarser_fine_tuned_model_is_warned_of(tuned: MakeTuned) -> None:
    made = tuned()
    tensors = load_file(made.finetuned / "model.safetensors")
    halves = {name: x.to(torch.bfloat16) for name, x in tensors.items()}
    save_file(halves, made.finetuned / "model.safetensors")
    with pytest.warns(SuperposeWarning, match="stored in bfloat16, the base model in float32"):
        extract(made.base, made.finetuned, rank=3)
    extract(made.finetuned, made.base, rank=3)  # a finer one is none of the warning's business


def test_another_architecture_is_refused(tuned: MakeTuned) -> None:
    made = tuned()
    rewrite(made.finetuned / "config.json", model_type="mistral")
    with pytest.raises(DifferentBase, match="is a mistral model and the base model a llama one"):
        extract(made.base, made.finetuned, rank=3)


def test_a_model_that_is_the_base_has_no_delta(tuned: MakeTuned) -> None:
    made = tuned(rank=0)
    with pytest.raises(BadInput, match="is the base model itself"):
        extract(made.base, made.finetuned, rank=3)
    other = made.base.parent / "norms"
    shutil.copytree(made.base, other)
    broken(other / "model.safetensors", "model.norm.weight", lambda x: x + 1)
    with pytest.raises(BadInput, match=r"in no target module, only in `model.norm.weight`"):
        extract(made.base, other, rank=3)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "needs a rank or a share"),
        ({"rank": 0}, "rank is 0"),
        ({"rank": True}, "rank: True is no whole number"),
        ({"energy": 0.0}, "energy is 0.0"),
        ({"energy": 1.5}, "energy is 1.5"),
        ({"energy": math.nan}, "energy is nan"),
        ({"rank": 2, "targets": ["qproj"]}, "is called `qproj`"),
        ({"rank": 2, "targets": ["norm"]}, "`model.norm` is no matrix"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_bad_input(
    tuned: MakeTuned, options: dict[str, Any], problem: str
) -> None:
    made = tuned()
    with pytest.raises(BadInput, match=problem):
        extract(made.base, made.finetuned, **options)


def test_what_is_no_model_is_said(tmp_path: Path, tuned: MakeTuned) -> None:
    made = tuned()
    with pytest.raises((BadInput, MissingBase), match="missing"):
        extract(tmp_path / "missing", made.finetuned, rank=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"config\.json"):
        extract(made.base, tmp_path / "empty", rank=1)
