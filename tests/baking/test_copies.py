"""What PEFT saved of the base beside an adapter has to be this base's, whoever asks: one rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta
from superpose.baking import bake, prove_model
from superpose.compose import OnBase
from superpose.errors import DifferentBase
from superpose.files.checkpoint import Checkpoint
from superpose.files.precision import one_up_to_rounding

W, WORDS = "block.layer.weight", "model.embed_tokens.weight"
TENSORS = {W: normal(4, 4), WORDS: normal(6, 4, seed=1), "lm_head.weight": normal(6, 4, seed=2)}


def on_base(base: Path, adapter: Adapter, out: Path) -> None:
    OnBase(Checkpoint.open(base)).of(adapter)


def baked(base: Path, adapter: Adapter, out: Path) -> None:
    bake(base, adapter, out)


def proven(base: Path, adapter: Adapter, out: Path) -> None:
    prove_model(base, adapter, base)


DOORS = pytest.mark.parametrize("door", [on_base, baked, proven])


def with_copy(name: str, copy: np.ndarray[Any, Any]) -> Adapter:
    delta = Delta.of(normal(4, 2), normal(2, 4), 0.5)
    return Adapter({"block.layer": delta}, copies={name: copy}, name="a")


@DOORS
@pytest.mark.parametrize(
    ("name", "copy", "said"),
    [
        ("model.other.weight", normal(6, 4, seed=1), r"Its `model` has embed_tokens"),
        (WORDS, normal(6, 4, seed=3), "trained before. Give that one"),
        (WORDS, TENSORS[WORDS] * np.float32(1.001), "trained before. Give that one"),
        (WORDS, normal(8, 4, seed=3), r": \(8, 4\), not \(6, 4\)\nValues differ in rows"),
        (WORDS, normal(6, 5, seed=1), r": \(6, 5\), not \(6, 4\)\nAxis 1 differs"),
        (W, TENSORS[W][:3], r": \(3, 4\), not \(4, 4\)\nAxis 0 differs"),
    ],
    ids=["nowhere", "other", "tuned", "other and longer", "wider", "shorter"],
)
def test_a_copy_of_another_bases_tensor_is_refused_by_name_in_the_same_words(
    door: Callable[..., None],
    name: str,
    copy: np.ndarray[Any, Any],
    said: str,
    tmp_path: Path,
) -> None:
    base = write_checkpoint(tmp_path / "base", TENSORS, tie_word_embeddings=False)
    with pytest.raises(DifferentBase, match=rf"`a` was saved with another `{name}`(.|\n)*{said}"):
        door(base, with_copy(name, copy), tmp_path / "out")
    if "Give that one" in said:
        own = write_checkpoint(tmp_path / "own", {**TENSORS, name: copy}, tie_word_embeddings=False)
        door(own, with_copy(name, copy), tmp_path / "out")


@DOORS
def test_a_copy_that_was_rounded_or_resized_is_the_bases_own(
    door: Callable[..., None], tmp_path: Path
) -> None:
    base = write_checkpoint(tmp_path / "base", TENSORS, tie_word_embeddings=False)
    door(base, with_copy(WORDS, TENSORS[WORDS].astype(np.float16)), tmp_path / "half")
    rounded = TENSORS[WORDS].astype(ml_dtypes.bfloat16).astype(np.float32)
    door(base, with_copy(WORDS, rounded), tmp_path / "rounded")
    if door is on_base:  # baking wants the output layer's new rows as well
        longer = np.concatenate([TENSORS[WORDS], normal(2, 4)])
        door(base, with_copy(WORDS, longer), tmp_path / "longer")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("held", [None, np.float32, np.float64])
def test_a_tensor_is_one_with_its_rounding_whatever_holds_it_and_with_nothing_else(
    dtype: Any, held: Any
) -> None:
    x = normal(40, 30, dtype=np.float64)
    y = x.astype(dtype)
    y = y if held is None else y.astype(held)
    blocks = [(x[:20], y[:20]), (x[20:], y[20:])]
    assert one_up_to_rounding(lambda: blocks)
    assert one_up_to_rounding(lambda: [(b, a) for a, b in blocks])
    moved = y.copy()
    moved[-1, -1] *= moved.dtype.type(1.25)
    assert not one_up_to_rounding(lambda: [(x, moved)])
