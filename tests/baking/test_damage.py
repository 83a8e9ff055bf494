"""A damaged base model or result is met with an error of ours, and nothing is written."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Place
from superpose.baking import bake, prove_model
from superpose.errors import SuperposeError
from superpose.files.checkpoint import CONFIG, INDEX

SHARD = "model-00001-of-00002.safetensors"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = st.sampled_from(
    (
        *("architectures", "model_type", "text_config", "quantization_config"),
        *("tie_word_embeddings", "dtype", "is_encoder_decoder"),
    )
)


def adapter() -> Adapter:
    """Give one that unties the embedding."""
    place = Place("model.embed_tokens", kind="embedding")
    return Adapter(
        {
            "model.layers.0.q": Delta.of(normal(6, 1), normal(1, 4)),
            place.key: Delta.of(normal(4, 1), normal(1, 6), place=place),
        }
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in two files."""
    tensors = {
        "model.layers.0.q.weight": normal(6, 4),
        "model.embed_tokens.weight": normal(6, 4),
        "norm.weight": normal(6),
        "empty": np.zeros((0, 4), np.float32),
        "narrow": np.zeros((4, 0), np.float32),
    }
    return write_checkpoint(tmp_path_factory.mktemp("whole") / "base", tensors, shards=2)


def tried(whole: Path, file: str, damage: Any) -> None:
    """Damage a copy of a file; then bake onto that base, or prove that it is a result."""
    with tempfile.TemporaryDirectory() as name:
        base, out = Path(name) / "base", Path(name) / "out"
        shutil.copytree(whole, base)
        damage(base / file)
        try:
            bake(base, adapter(), out)
        except SuperposeError:
            assert [path.name for path in Path(name).iterdir()] == ["base"]
        else:
            assert prove_model(base, adapter(), out).holds
        with suppress(SuperposeError):
            assert not prove_model(whole, adapter(), base).holds


@settings(max_examples=60, deadline=None)
@given(key=KEYS, value=VALUES)
def test_any_value_in_the_configuration(whole: Path, key: str, value: Any) -> None:
    def damage(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    tried(whole, CONFIG, damage)


@settings(max_examples=40, deadline=None)
@given(key=st.sampled_from(["weight_map", "metadata", "norm.weight"]), value=VALUES)
def test_any_value_in_the_index(whole: Path, key: str, value: Any) -> None:
    def damage(path: Path) -> None:
        index = json.loads(path.read_text())
        (index if key in index else index["weight_map"])[key] = value
        path.write_text(json.dumps(index))

    tried(whole, INDEX, damage)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_byte_of_any_file(whole: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([CONFIG, INDEX, SHARD]))
    raw = (whole / file).read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.booleans())
    tried(whole, file, lambda path: path.write_bytes(changed[:at] if cut else changed))


def test_tensors_without_values_are_carried(whole: Path, tmp_path: Path) -> None:
    baked = bake(whole, adapter(), tmp_path / "out")
    assert baked.tensors == 6
    assert prove_model(whole, adapter(), tmp_path / "out").holds
