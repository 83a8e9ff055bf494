"""Whatever is wrong with an adapter's files, superpose says so itself, soon and in little memory.

Real adapters, damaged: every field of a configuration with another value, every byte of a header
with another one, lengths and names and dtypes changed, files cut off. What comes out is an adapter
or one of superpose's own errors: no traceback, no hang, no gigabyte.
"""

from __future__ import annotations

import json
import resource
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import save

import superpose
from superpose.adapter import Adapter
from superpose.errors import SuperposeError

SECONDS = 20
MEMORY = 1 << 30

FIELDS = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/tiny",
    "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "embed_tokens", "conv"], "bias": "all",
    "use_rslora": False, "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 8},
    "modules_to_save": ["score"], "target_parameters": ["experts.gate_up_proj"],
    "trainable_token_indices": {"tokens": [1, 4]}, "use_bdlora": None, "use_qalora": False,
    "qalora_group_size": 4, "ensure_weight_tying": False, "layer_replication": None,
    "use_dora": False, "lora_bias": False, "init_lora_weights": True, "fan_in_fan_out": False,
    "layers_to_transform": None, "exclude_modules": None, "revision": None,
}  # fmt: skip
SHAPES = {
    "layers.0.q_proj.lora_A.weight": (2, 8), "layers.0.q_proj.lora_B.weight": (6, 2),
    "layers.0.q_proj.base_layer.bias": (6,),
    "embed_tokens.lora_embedding_A": (2, 9), "embed_tokens.lora_embedding_B": (8, 2),
    "embed_tokens.base_layer.weight": (9, 8), "conv.lora_A.weight": (2, 3, 3, 3),
    "conv.lora_B.weight": (4, 1, 1, 1), "layers.0.experts.lora_A.weight": (6, 8),
    "layers.0.experts.lora_B.weight": (5, 6), "score.weight": (3, 8), "norm.bias": (8,),
    "tokens.token_adapter.trainable_tokens_delta": (2, 8),
    "lm_head.lora_A.weight": (2, 8), "lm_head.lora_B.weight": (9, 2),
}  # fmt: skip
RNG = np.random.default_rng(0)
TENSORS = {
    f"base_model.model.{name}": RNG.normal(size=shape).astype(np.float32)
    for name, shape in SHAPES.items()
}
WHOLE = save(TENSORS, metadata={"format": "pt"})
HEADER_END = 8 + int.from_bytes(WHOLE[:8], "little")

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 9), st.floats(), st.text(max_size=12),
    st.sampled_from(["(a+)+$", ".*.*.*x", "[", "q_proj", "\ud800", "pissa", "all-linear", 10**400]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
quick = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@contextmanager
def bounded() -> Iterator[None]:
    """A gigabyte more than now, and some seconds."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, hard))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def survives(path: Path, out: Path) -> Adapter | None:
    """Read, and where that goes through add, compare and write; only superpose's own errors."""
    with bounded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            adapter = superpose.load(path)
            total = adapter + 0.5 * adapter
            superpose.check([adapter, total])
            superpose.save(total * (2 / 3), out, force=True)
        except SuperposeError:
            return None
    return adapter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps(FIELDS))
    (path / "adapter_model.safetensors").write_bytes(WHOLE)
    return path


def test_the_undamaged_adapter_is_read_added_and_written(folder: Path) -> None:
    adapter = survives(folder, folder.parent / "out")
    assert adapter is not None
    assert len(adapter) == 8
    assert set(adapter.replacements) == {
        "layers.0.q_proj.bias", "norm.bias", "score.weight", "tokens.weight[1]", "tokens.weight[4]",
    }  # fmt: skip


@quick
@given(st.sampled_from([*FIELDS, "novelty", "kasa_config"]), values)
def test_any_field_may_hold_anything(folder: Path, field: str, value: Any) -> None:
    text = json.dumps({**FIELDS, field: value})
    (folder / "adapter_config.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    survives(folder, folder.parent / "out")


@quick
@given(st.lists(st.sampled_from([*FIELDS]), max_size=6), st.booleans())
def test_any_field_may_be_missing(folder: Path, missing: list[str], dora: bool) -> None:
    fields = {key: value for key, value in FIELDS.items() if key not in missing}
    (folder / "adapter_config.json").write_text(json.dumps(fields | {"use_dora": dora}))
    survives(folder, folder.parent / "out")


@quick
@given(st.data())
def test_tensors_may_have_any_name_shape_and_dtype(folder: Path, data: st.DataObject) -> None:
    changed = dict(TENSORS)
    ends = ["lora_A.weight", "lora_B.weight", "bias", "weight", "lora_magnitude_vector", "x"]
    shapes = st.lists(st.integers(0, 9), max_size=5).map(tuple)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(changed)))
        tensor = changed.pop(name)
        if data.draw(st.booleans()):
            stem = name.rpartition(".lora_")[0] or name
            name = f"{stem}.{data.draw(st.sampled_from(ends))}"
        if data.draw(st.booleans()):
            tensor = np.ones(data.draw(shapes), np.float32)
        if data.draw(st.booleans()):
            with np.errstate(all="ignore"):
                kinds = ["float16", "float64", "int64", "bool", "uint8"]
                tensor = tensor.astype(data.draw(st.sampled_from(kinds)))
        if data.draw(st.booleans()):
            factor = data.draw(st.sampled_from([0.0, 1e30, np.nan, -1.0]))
            with np.errstate(all="ignore"):
                tensor = np.array(tensor * np.float64(factor)).astype(tensor.dtype)
        changed[name] = tensor
    (folder / "adapter_model.safetensors").write_bytes(save(changed))
    survives(folder, folder.parent / "out")


def damaged(whole: bytes, end: int, data: st.DataObject) -> bytes:
    """Change some bytes before `end`, cut the file off, or make it longer."""
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(raw))))
    more = data.draw(st.binary(max_size=9))
    return bytes(raw[:cut]) + more


@quick
@given(st.data())
def test_any_byte_of_a_header_may_be_another(folder: Path, data: st.DataObject) -> None:
    (folder / "adapter_model.safetensors").write_bytes(damaged(WHOLE, HEADER_END, data))
    survives(folder, folder.parent / "out")


@quick
@given(st.integers(0, 2**64 - 1))
def test_a_header_may_claim_any_length(folder: Path, length: int) -> None:
    raw = length.to_bytes(8, "little") + WHOLE[8:]
    (folder / "adapter_model.safetensors").write_bytes(raw)
    survives(folder, folder.parent / "out")


@quick
@given(st.data())
def test_any_byte_of_a_configuration_may_be_another(folder: Path, data: st.DataObject) -> None:
    text = json.dumps(FIELDS).encode()
    (folder / "adapter_config.json").write_bytes(damaged(text, len(text), data))
    survives(folder, folder.parent / "out")


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
def test_nesting_without_end_is_refused(folder: Path, depth: int) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": ' + "[" * depth)
    assert survives(folder, folder.parent / "out") is None
