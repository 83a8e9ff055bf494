"""An adapter of mlx_lm is B A under other names: read exactly, or refused for what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput, Refused

MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj", "lm_head")
WIDTHS = {"q_proj": (32, 32), "down_proj": (48, 32), "lm_head": (32, 61)}


def factors(seed: int = 0, rank: int = 3) -> dict[str, Any]:
    g = np.random.default_rng(seed)
    found = {}
    for module in MODULES:
        inputs, outputs = WIDTHS[module.rpartition(".")[2]]
        found[f"{module}.lora_a"] = g.normal(size=(inputs, rank)).astype(np.float32)
        found[f"{module}.lora_b"] = g.normal(size=(rank, outputs)).astype(np.float32)
    return found


def write(folder: Path, tensors: dict[str, Any], file: str = "adapters", **config: Any) -> Path:
    folder.mkdir()
    if tensors:
        save_file(tensors, folder / f"{file}.safetensors")
    plain = {"fine_tune_type": "lora", "lora_parameters": {"rank": 3, "scale": 20.0}}
    plain |= {"model": "org/tiny-llama", "num_layers": 2}
    (folder / "adapter_config.json").write_text(json.dumps({**plain, **config}))
    return folder


def test_its_delta_is_that_of_the_layers_formula(oracle: Any, tmp_path: Path) -> None:
    tensors = factors()
    adapter = superpose.load(write(tmp_path / "mlx", tensors))
    assert adapter.base_model == "org/tiny-llama"
    assert set(adapter) == set(MODULES)
    for module in MODULES:
        x = np.eye(tensors[f"{module}.lora_a"].shape[0])
        y = 20.0 * (x @ tensors[f"{module}.lora_a"]) @ tensors[f"{module}.lora_b"]
        np.testing.assert_allclose(oracle.dense64(adapter[module]), y.T, rtol=1e-12)


def test_a_sum_with_a_peft_adapter_is_a_peft_folder_that_peft_loads(
    oracle: Any, tmp_path: Path, write_adapter: Any
) -> None:
    mlx = superpose.load(write(tmp_path / "mlx", factors()))
    peft = superpose.load(write_adapter("peft", modules=MODULES[:1], width=32))
    total = mlx + 0.5 * peft
    superpose.save(total, tmp_path / "sum")
    merged = oracle.merged_deltas(oracle.llama(), tmp_path / "sum")
    assert set(merged) == set(MODULES)
    for module, found in merged.items():
        right = oracle.dense64(total[module])
        assert np.linalg.norm(found - right) <= 1e-6 * np.linalg.norm(right)


REFUSED = {
    "dora": ({"fine_tune_type": "dora"}, {}, "fine_tune_type is 'dora'"),
    "old dora": ({"use_dora": True}, {}, "fine_tune_type is 'dora'"),
    "full": ({"fine_tune_type": "full"}, {}, "fine_tune_type is 'full'"),
    "a trained norm": ({}, {"model.norm.weight": np.ones(4, np.float32)}, "`model.norm.weight`"),
    "experts": (
        {},
        {
            "model.layers.0.mlp.switch_mlp.up_proj.lora_a": np.ones((2, 3, 8), np.float32),
            "model.layers.0.mlp.switch_mlp.up_proj.lora_b": np.ones((2, 8, 3), np.float32),
        },
        "a stack of experts",
    ),
    "embedding": (
        {},
        {
            "model.embed_tokens.lora_a": np.ones((61, 3), np.float32),
            "model.embed_tokens.lora_b": np.ones((3, 32), np.float32),
        },
        "is an embedding",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_lora_on_linear_layers_is_refused_for_what_it_is(
    case: str, tmp_path: Path
) -> None:
    config, more, said = REFUSED[case]
    folder = write(tmp_path / "mlx", factors() | more, **config)
    with pytest.raises(Refused, match=said) as caught:
        superpose.load(folder)
    assert "mlx_lm.fuse" in str(caught.value)


def test_a_file_without_any_tensor_holds_no_factors(tmp_path: Path) -> None:
    folder = write(tmp_path / "mlx", factors())
    save_file({}, folder / "adapters.safetensors")
    with pytest.raises(BadInput, match=r"adapters\.safetensors: holds no LoRA factors"):
        superpose.load(folder)


@pytest.mark.parametrize("parameters", [None, {}, {"rank": 3}, {"scale": "20"}, {"scale": True}])
def test_without_a_scale_nobody_knows_the_scaling(parameters: Any, tmp_path: Path) -> None:
    folder = write(tmp_path / "mlx", factors(), lora_parameters=parameters)
    with pytest.raises(BadInput, match="nobody knows the scaling"):
        superpose.load(folder)


def test_an_alpha_means_two_things_by_version_and_is_asked_for(tmp_path: Path) -> None:
    parameters = {"rank": 3, "alpha": 16, "scale": 10.0}
    folder = write(tmp_path / "mlx", factors(), lora_parameters=parameters)
    with pytest.raises(BadInput, match=r"a scale \(10.0\) and an alpha \(16\)") as caught:
        superpose.load(folder)
    assert "take the alpha out" in str(caught.value)
    one = superpose.load(
        write(tmp_path / "one", factors(), lora_parameters={**parameters, "alpha": 3})
    )
    two = superpose.load(write(tmp_path / "two", factors(), lora_parameters={"scale": 10.0}))
    assert one.norm() == two.norm() > 0


def test_a_rank_or_shape_that_does_not_fit_is_damage(tmp_path: Path) -> None:
    parameters = {"rank": 4, "scale": 20.0}
    with pytest.raises(BadInput, match=r"has rank 3, but adapter_config\.json says 4"):
        superpose.load(write(tmp_path / "rank", factors(), lora_parameters=parameters))
    one = {k: v for k, v in factors().items() if k != "lm_head.lora_b"}
    with pytest.raises(BadInput, match="`lm_head` has no lora_b"):
        superpose.load(write(tmp_path / "side", one))
    with pytest.raises(BadInput, match="do not belong together"):
        superpose.load(
            write(tmp_path / "shape", {**one, "lm_head.lora_b": np.ones((2, 61), np.float32)})
        )
    with pytest.raises(BadInput, match="without its weights"):
        superpose.load(write(tmp_path / "none", {}))


@pytest.mark.parametrize("configured", [True, False])
def test_the_command_that_converts_an_archive_of_numpys_works(
    configured: bool, tmp_path: Path
) -> None:
    right = superpose.load(write(tmp_path / "right", factors()))
    folder = write(tmp_path / "old npz", {})
    if not configured:
        (folder / "adapter_config.json").unlink()
    np.savez(folder / "adapters.npz", **factors())
    with pytest.raises(BadInput, match=r"is an MLX adapter as adapters\.npz") as caught:
        superpose.load(folder)
    assert caught.value.hint is not None
    command = caught.value.hint.partition("\n")[2].strip().replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True)
    assert superpose.load(folder).norm() == right.norm()


def test_without_a_configuration_the_message_says_which_one_to_write(tmp_path: Path) -> None:
    right = superpose.load(write(tmp_path / "right", factors()))
    folder = write(tmp_path / "bare", factors())
    (folder / "adapter_config.json").unlink()
    with pytest.raises(BadInput, match="which tells its scale") as caught:
        superpose.load(folder)
    assert caught.value.hint is not None
    config = caught.value.hint.partition(": ")[2].partition(", with")[0].replace("SCALE", "20.0")
    (folder / "adapter_config.json").write_text(config)
    assert superpose.load(folder).norm() == right.norm()
    assert len(load_file(folder / "adapters.safetensors")) == 6
