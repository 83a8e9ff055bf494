"""What a file stores twice is one thing: it counts once, and is refused where the two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

HEAD = ("score.dense", "model.layers.0.self_attn.q_proj")
WRAPPERS = ["modules_to_save", "modules_to_save.default"]


def twice(folder: Any, wrapper: str, change: float = 0.0, plain: bool = True) -> None:
    """Store what lies in `score` by its wrapper's name too, as older versions of PEFT do."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    start = "base_model.model.score."
    for name in [n for n in tensors if n.startswith(start)]:
        rest = name.removeprefix(start)
        tensors[f"{start}{wrapper}.{rest}"] = tensors[name] + np.float32(change)
        tensors[f"{start}original_module.{rest}"] = tensors[name] * 0 + np.float32(7)
        if not plain:
            del tensors[name]
    save_file(tensors, path)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("plain", [True, False])
def test_factors_of_a_head_count_once_by_either_name(
    wrapper: str, plain: bool, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a", modules=HEAD, task_type="SEQ_CLS")
    right = superpose.load(folder)
    twice(folder, wrapper, plain=plain)
    found = superpose.load(folder)
    assert set(found) == set(right) == set(HEAD)
    assert found.norm() == right.norm()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_head_that_is_stored_whole_twice_counts_once(
    wrapper: str, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a", task_type="SEQ_CLS")
    path = folder / "adapter_model.safetensors"
    head = {"base_model.model.score.weight": np.ones((2, 8), np.float32)}
    save_file({**load_file(path), **head}, path)
    right = superpose.load(folder)
    twice(folder, wrapper)
    assert list(superpose.load(folder).replacements) == list(right.replacements)
    twice(folder, wrapper, change=1.0)
    with pytest.raises(BadInput, match="are one and the same in the model, and differ"):
        superpose.load(folder)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_factors_that_differ_from_their_twins_are_refused_with_both_names(
    wrapper: str, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a", modules=HEAD, task_type="SEQ_CLS")
    twice(folder, wrapper, change=0.5)
    with pytest.raises(BadInput, match="are one and the same in the model, and differ") as caught:
        superpose.load(folder)
    assert "score.dense.lora_" in str(caught.value)
    assert f"score.{wrapper}.dense.lora_" in str(caught.value)
