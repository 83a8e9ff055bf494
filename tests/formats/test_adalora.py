"""AdaLoRA is B diag(E) A with its own scaling: read as PEFT merges it, written as plain LoRA."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput, SuperposeWarning

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@pytest.fixture
def trained(oracle: Any, tmp_path: Path) -> Any:
    """Write an AdaLoRA adapter whose ranks the allocator has cut, some to nothing."""

    def write(allocated: bool = True, **settings: Any) -> Path:
        given = {"target_modules": ["q_proj", "v_proj"], "total_step": 8, "tinit": 1, "tfinal": 1}
        given |= {"init_r": 4, "target_r": 1, "lora_alpha": 6}
        with oracle.quiet():
            torch.manual_seed(1)
            model = peft.get_peft_model(oracle.llama(), peft.AdaLoraConfig(**{**given, **settings}))
            for name, parameter in model.named_parameters():
                if parameter.requires_grad and "ranknum" not in name:
                    torch.nn.init.normal_(parameter)
            tokens = torch.arange(24).reshape(2, 12) % 61
            for step in range(1, 9 if allocated else 1):
                model(input_ids=tokens, labels=tokens).loss.backward()
                model.base_model.update_and_allocate(step)
                model.zero_grad()
            folder = tmp_path / f"ada-{len(list(tmp_path.iterdir()))}"
            model.save_pretrained(folder)
        return folder

    return write


@pytest.mark.parametrize("allocated", [True, False])
@pytest.mark.parametrize("alpha", [6, -1])
def test_the_delta_is_what_peft_merges(
    allocated: bool, alpha: int, trained: Any, oracle: Any
) -> None:
    folder = trained(allocated, lora_alpha=alpha)
    pattern = json.loads((folder / CONFIG).read_text())["rank_pattern"]
    assert bool(pattern) == allocated
    right = oracle.merged_deltas(oracle.llama(), folder)
    adapter = superpose.load(folder)
    assert set(adapter) == set(right)
    for module, delta in adapter.items():
        found = oracle.dense64(delta)
        assert np.linalg.norm(found - right[module]) <= 1e-6 * np.linalg.norm(right[module])


def test_the_written_sum_is_plain_lora_that_peft_loads(
    trained: Any, oracle: Any, tmp_path: Path
) -> None:
    one, two = trained(), trained(False)
    superpose.save(superpose.load(one) + 0.5 * superpose.load(two), tmp_path / "sum")
    assert json.loads((tmp_path / "sum" / CONFIG).read_text())["peft_type"] == "LORA"
    first, second, both = (
        oracle.merged_deltas(oracle.llama(), f) for f in (one, two, tmp_path / "sum")
    )
    for module, found in both.items():
        right = first.get(module, 0) + 0.5 * second[module]
        assert np.linalg.norm(found - right) <= 1e-6 * np.linalg.norm(right)


def test_a_module_that_was_left_no_rank_changes_nothing(trained: Any) -> None:
    folder = trained(False)
    path = folder / WEIGHTS
    module = "model.layers.0.self_attn.q_proj"
    tensors = load_file(path)
    gone = {"A": (0, 32), "B": (32, 0), "E": (0, 1)}
    for side, shape in gone.items():
        tensors[f"base_model.model.{module}.lora_{side}"] = np.zeros(shape, np.float32)
    save_file(tensors, path)
    with pytest.raises(BadInput, match="holds no values, and 2 more"):
        superpose.load(folder)
    config = json.loads((folder / CONFIG).read_text())
    config["rank_pattern"] = {f"{module}.lora_E": [False] * 4}
    (folder / CONFIG).write_text(json.dumps(config))
    assert module not in superpose.load(folder)


def test_an_initial_rank_that_is_not_said_is_that_of_the_factors(trained: Any) -> None:
    folder = trained(False)
    right = superpose.load(folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({k: v for k, v in config.items() if k != "init_r"}))
    with pytest.warns(SuperposeWarning, match="init_r is not there; all factors have rank 4"):
        assert superpose.load(folder).norm() == right.norm()


def test_a_rank_that_is_not_the_configurations_is_refused_with_the_key_to_mend(
    trained: Any,
) -> None:
    folder = trained(False)
    right = superpose.load(folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "init_r": 12}))
    with pytest.raises(
        BadInput, match=r"has rank 4, but by adapter_config\.json init_r is 12"
    ) as e:
        superpose.load(folder)
    assert '"init_r": 4' in str(e.value)
    (folder / CONFIG).write_text(json.dumps({**config, "init_r": 4}))
    assert superpose.load(folder).norm() == right.norm()


@pytest.mark.parametrize("side", ["A", "B", "E"])
def test_a_factor_that_is_missing_or_does_not_fit_is_damage(side: str, trained: Any) -> None:
    folder = trained(False)
    name = f"base_model.model.model.layers.1.self_attn.v_proj.lora_{side}"
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, name: np.ones((3, 5), np.float32)}, folder / WEIGHTS)
    with pytest.raises(BadInput, match="are not the factors of B diag"):
        superpose.load(folder)
    save_file({k: v for k, v in tensors.items() if k != name}, folder / WEIGHTS)
    with pytest.raises(BadInput, match=f"has no lora_{side}"):
        superpose.load(folder)


def test_a_head_that_is_saved_whole_is_read_beside_the_factors(trained: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = trained(False, modules_to_save=["lm_head"])
    assert list(superpose.load(folder).replacements) == ["lm_head.weight"]
