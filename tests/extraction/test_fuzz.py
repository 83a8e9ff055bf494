"""Whatever a model's folder holds, extract gives an adapter or says what is wrong: no traceback."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import save, save_file

from superpose import extract
from superpose.errors import SuperposeError

NAMES = (
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.1.mlp.down_proj.weight",
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
    "h.0.attn.c_attn.weight",
    "h.0.attn.c_attn.bias",
    "model.layers.0.mlp.experts.gate_up_proj",
    "odd",
)
SHAPES = ((), (4,), (4, 6), (6, 4), (0, 6), (2, 3, 4), (300, 280))
DTYPES = (np.float32, np.float16, np.float64, ml_dtypes.bfloat16, np.int8, np.int64, np.bool_)
SETTINGS = ("model_type", "architectures", "vocab_size", "tie_word_embeddings", "text_config")

scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars)


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 3)))
    found = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES))
        size = draw(st.sampled_from([0.0, 1e-30, 1.0, 1e4, 3e38, np.nan]))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[name] = np.asarray(size * rng.standard_normal(shape)).astype(dtype)
    return found


def write(folder: Path, weights: dict[str, np.ndarray], config: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def tried(base: Path, tuned: Path, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = extract(base, tuned, **options)
        except SuperposeError:
            return
    assert 0.0 < found.energy_kept <= 1.0
    json.dumps(found.to_json(), allow_nan=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


fuzzed = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzzed
@given(
    tensors(),
    tensors(),
    st.dictionaries(st.sampled_from(SETTINGS), values),
    st.dictionaries(st.sampled_from(SETTINGS), values),
    st.booleans(),
)
def test_any_tensors_and_settings(
    folder: Path, base: Any, tuned: Any, one: Any, other: Any, alike: bool
) -> None:
    if alike:  # one model, which gets beyond the first refusal
        tuned = {
            name: x if x.dtype == np.bool_ else np.asarray(x * x.dtype.type(0.5) + x.dtype.type(1))
            for name, x in base.items()
        }
        other = one
    write(folder / "base", base, one)
    write(folder / "tuned", tuned, other)
    tried(folder / "base", folder / "tuned", rank=2)
    tried(folder / "base", folder / "tuned", energy=0.5, targets=["q_proj", "embed_tokens"])


@fuzzed
@given(st.data())
def test_any_damage_to_a_file(folder: Path, data: st.DataObject) -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((4, 6)).astype(np.float32) for name in NAMES[:2]}
    write(folder / "base", weights, {"model_type": "llama"})
    write(folder / "tuned", weights, {"model_type": "llama"})
    whole = bytearray(save({name: x + 1 for name, x in weights.items()}))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    kept = bytes(whole[:cut] if data.draw(st.booleans()) else whole)
    (folder / "tuned" / "model.safetensors").write_bytes(kept)
    tried(folder / "base", folder / "tuned", rank=2)
