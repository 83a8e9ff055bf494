"""`superpose info` says what is in an adapter, in figures that are the deltas' own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

MODULES = (
    "model.layers.0.self_attn.q_proj",
    "model.layers.1.self_attn.q_proj",
    "model.layers.0.mlp.up_proj",
)


def test_json_gives_base_kinds_ranks_scalings_dtype_and_norms(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    folder = write_adapter("a", modules=MODULES, rank=2, alpha=8, alpha_pattern={"up_proj": 3})
    ended = superpose("info", folder, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["base"] == "org/tiny-llama"
    assert found["settings"]["task_type"] == "CAUSAL_LM"
    assert (found["module_count"], found["rank"], found["dtypes"]) == (3, 2, ["float32"])
    assert found["parameters"] == 3 * 2 * 16
    up, q = sorted(found["kinds"], key=lambda kind: int(kind["module_count"]))
    assert (q["name"], q["module_count"], q["ranks"], q["scalings"]) == ("q_proj", 2, [2], [4.0])
    assert (up["name"], up["module_count"], up["scalings"]) == ("up_proj", 1, [1.5])
    assert q["shapes"] == [[8, 8]]
    deltas = {m: dense(d.terms) for m, d in load(folder).items()}
    assert found["norm"] == pytest.approx(np.sqrt(sum(np.sum(d**2) for d in deltas.values())))
    assert up["norm"] == pytest.approx(np.linalg.norm(deltas[MODULES[2]]))


def test_the_table_names_what_a_reader_looks_for(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    ended = superpose("info", write_adapter("[bold]odd", modules=MODULES))
    assert ended.returncode == 0, ended.stderr
    for words in ("[bold]odd", "org/tiny-llama", "q_proj", "up_proj", "8 x 8", "float32"):
        assert words in ended.stdout
    assert "parent" not in ended.stdout


def test_a_sum_of_ours_names_its_parents_and_their_weights(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    a, b = write_adapter("a", seed=1), write_adapter("b", seed=2)
    out = a.parent / "sum"
    assert superpose("add", a, f"{b}:-0.5", "-o", out).returncode == 0
    found = json.loads(superpose("info", out, "--json").stdout)
    assert [(p["path"], p["weight"]) for p in found["parents"]] == [(str(a), 1.0), (str(b), -0.5)]
    assert f"-0.5 * {b}" in superpose("info", out).stdout


def test_a_delta_of_zero_is_said_to_add_nothing(
    write_adapter: WriteAdapter, superpose: Superpose
) -> None:
    folder = write_adapter("a", modules=MODULES)
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({k: v * ("up_proj.lora_B" not in k) for k, v in tensors.items()}, path)
    ended = superpose("info", folder)
    assert "adds nothing in `model.layers.0.mlp.up_proj`" in ended.stdout
    save_file({k: v * ("lora_B" not in k) for k, v in tensors.items()}, path)
    ended = superpose("info", folder)
    assert "adds nothing: every delta is zero" in ended.stdout


def test_what_is_no_adapter_is_exit_code_2(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a").parent
    ended = superpose("info", folder)
    assert ended.returncode == 2
    assert "is no adapter but holds some" in ended.stderr
    assert ended.stdout == ""


load = superpose.load
