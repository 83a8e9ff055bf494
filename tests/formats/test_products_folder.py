"""PEFT folders of type LOHA and LOKR: PEFT's own merge in a real model is the oracle."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import superpose
from superpose.adapter import Adapter, place_of
from superpose.baking import bake
from superpose.baking.proof_of_model import prove_model
from superpose.errors import BadInput, Refused
from superpose.formats.peft import fields
from superpose.formats.peft.products import HARMLESS, USED
from superpose.lowrank import dense

WEIGHTS = "adapter_model.safetensors"


class Convolutions(torch.nn.Module):
    """One layer of each kind that PEFT's LoHa and LoKr take."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2 = torch.nn.Conv2d(12, 16, 3)
        self.pointwise = torch.nn.Conv2d(16, 12, 1)
        self.grouped = torch.nn.Conv2d(12, 16, 3, groups=2)
        self.conv1 = torch.nn.Conv1d(12, 16, 5)
        self.linear = torch.nn.Linear(12, 10)


def convolutions() -> Any:
    torch.manual_seed(0)
    return Convolutions().double()


def llama() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=61,
    )
    return transformers.LlamaForCausalLM(config).double()


ALL = ["conv2", "pointwise", "grouped", "conv1", "linear"]
CASES: dict[str, tuple[Any, type, dict[str, Any]]] = {
    "loha": (llama, peft.LoHaConfig, {"r": 2, "alpha": 5, "target_modules": ["q_proj", "v_proj"]}),
    "loha of full rank": (llama, peft.LoHaConfig, {"r": 8, "target_modules": ["q_proj"]}),
    "loha patterns": (
        llama,
        peft.LoHaConfig,
        {
            "r": 2,
            "alpha": 3,
            "target_modules": r".*\.(q_proj|down_proj)",
            "rank_pattern": {"down_proj": 3},
            "alpha_pattern": {r"layers\.0\..*q_proj": 7},
        },
    ),
    "loha convolutions": (convolutions, peft.LoHaConfig, {"r": 2, "target_modules": ALL}),
    "loha tucker": (
        convolutions,
        peft.LoHaConfig,
        {"r": 2, "alpha": 3, "target_modules": ALL, "use_effective_conv2d": True},
    ),
    "lokr": (llama, peft.LoKrConfig, {"r": 2, "alpha": 5, "target_modules": ["q_proj", "v_proj"]}),
    "lokr whole": (llama, peft.LoKrConfig, {"r": 32, "alpha": 5, "target_modules": ["q_proj"]}),
    "lokr of two": (
        llama,
        peft.LoKrConfig,
        {
            "r": 2,
            "target_modules": ["q_proj", "up_proj"],
            "decompose_both": True,
            "decompose_factor": 8,
        },
    ),
    "lokr convolutions": (
        convolutions,
        peft.LoKrConfig,
        {"r": 2, "target_modules": ALL, "decompose_factor": 2},
    ),
    "lokr convolutions whole": (convolutions, peft.LoKrConfig, {"r": 9, "target_modules": ALL}),
    "lokr tucker": (
        convolutions,
        peft.LoKrConfig,
        {
            "r": 2,
            "alpha": 3,
            "target_modules": ALL,
            "use_effective_conv2d": True,
            "decompose_factor": 2,
        },
    ),
}


def trained(case: str, folder: Path, seed: int = 1, **more: Any) -> dict[str, np.ndarray]:
    """Save an adapter with random values; give what its merge changes, by tensor of the base."""
    make, config, options = CASES[case]
    model = peft.get_peft_model(make(), config(**(options | more)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hada_" in name or "lokr_" in name:
                parameter.normal_(std=0.3, generator=generator)
    model.double().save_pretrained(folder)
    return merged(make, folder)


def merged(make: Any, folder: Path) -> dict[str, np.ndarray]:
    base = {name: tensor.clone() for name, tensor in make().state_dict().items()}
    model = peft.PeftModel.from_pretrained(make(), folder).double().merge_and_unload()
    changes = {name: t - base[name] for name, t in model.state_dict().items()}
    return {name: c.numpy() for name, c in changes.items() if c.any()}


def assert_same(adapter: Adapter, expected: Mapping[str, np.ndarray], bound: float) -> None:
    found = {place_of(key, delta.place).tensor: delta for key, delta in adapter.items()}
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        own = dense(found[name].terms)
        error = np.linalg.norm(own - change.reshape(len(change), -1))
        assert error <= bound * np.linalg.norm(change), name


@pytest.mark.parametrize("case", CASES)
def test_the_delta_is_what_peft_merges(tmp_path: Path, case: str) -> None:
    """In float64, to its last digits: the file, the products and PEFT's merge all are."""
    expected = trained(case, tmp_path / "a")
    assert_same(superpose.load(tmp_path / "a"), expected, 1e-12)


@pytest.mark.parametrize("case", ["loha", "lokr", "loha patterns", "lokr whole"])
def test_the_sum_with_a_lora_is_a_lora_that_peft_merges_alike(tmp_path: Path, case: str) -> None:
    first = trained(case, tmp_path / "a")
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=3, target_modules=["q_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(2))
    model.double().save_pretrained(tmp_path / "b")
    second = merged(llama, tmp_path / "b")
    superpose.save(superpose.load(tmp_path / "a") - 0.5 * superpose.load(tmp_path / "b"),
                   tmp_path / "sum")  # fmt: skip
    assert json.loads((tmp_path / "sum" / "adapter_config.json").read_text())["peft_type"] == "LORA"
    expected = {n: first.get(n, 0.0) - 0.5 * second.get(n, 0.0) for n in {*first, *second}}
    found = merged(llama, tmp_path / "sum")
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= 1e-10 * np.linalg.norm(change)


@pytest.mark.parametrize("case", ["lokr whole", "lokr of two", "loha of full rank"])
def test_a_product_too_large_for_factors_is_written_at_a_rank(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its best approximation, by the SVD of what PEFT merges; the limit is put low here."""
    for module in ("superpose.lowrank.truncation", "superpose.formats.expanded"):
        monkeypatch.setattr(sys.modules[module], "MOST_OF_ONE", 100)
    expected = trained(case, tmp_path / "a")
    adapter = superpose.load(tmp_path / "a")
    with pytest.raises(Refused, match=r"LoHa or LoKr modules are .* GB(.|\n)*--rank 64"):
        superpose.save(adapter, tmp_path / "sum")
    superpose.save(adapter.compress(3), tmp_path / "sum")
    found = merged(llama, tmp_path / "sum")
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        U, s, Vt = np.linalg.svd(change, full_matrices=False)
        best = (U[:, :3] * s[:3]) @ Vt[:3]
        assert np.linalg.norm(found[name] - best) <= 1e-5 * s[0]


@pytest.mark.parametrize("case", ["lokr whole", "lokr of two", "loha of full rank"])
def test_bake_adds_a_product_that_is_never_formed(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PEFT merges it; its proof holds within the rounding of bake's own arithmetic."""
    for module in ("superpose.lowrank.terms", "superpose.formats.expanded"):
        monkeypatch.setattr(sys.modules[module], "MOST_OF_ONE", 100)
    expected = trained(case, tmp_path / "a")
    llama().save_pretrained(tmp_path / "base")
    adapter = superpose.load(tmp_path / "a")
    bake(tmp_path / "base", adapter, tmp_path / "baked")
    base, baked = (load_file(tmp_path / n / "model.safetensors") for n in ("base", "baked"))
    found = {n: (baked[n] - t).numpy() for n, t in base.items() if not torch.equal(baked[n], t)}
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= 1e-12 * np.linalg.norm(change)
    assert prove_model(tmp_path / "base", adapter, tmp_path / "baked").holds


@pytest.mark.parametrize("case", ["lokr convolutions whole", "lokr tucker", "loha tucker"])
def test_convolutions_whose_kernel_is_told_are_written_as_loras(tmp_path: Path, case: str) -> None:
    targets = ["conv2", "conv1", "linear"]
    expected = trained(case, tmp_path / "a", target_modules=targets)
    superpose.save(superpose.load(tmp_path / "a"), tmp_path / "again")
    found = merged(convolutions, tmp_path / "again")
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= 1e-10 * np.linalg.norm(change)


def test_a_head_that_is_saved_whole_is_a_replacement(tmp_path: Path) -> None:
    """As beside a LoRA: alone, with weight 1, it needs no base model."""
    make, _, options = CASES["loha"]
    config = peft.LoHaConfig(**options, modules_to_save=["lm_head"])
    model = peft.get_peft_model(make(), config)
    head = model.get_submodule("base_model.model.lm_head.modules_to_save.default")
    with torch.no_grad():
        head.weight.normal_(generator=torch.Generator().manual_seed(3))
    model.save_pretrained(tmp_path / "a")
    adapter = superpose.load(tmp_path / "a")
    assert np.array_equal(
        adapter.replacements["lm_head.weight"].value(), head.weight.detach().numpy()
    )


@pytest.mark.parametrize("config", [peft.LoHaConfig, peft.LoKrConfig])
def test_every_field_of_pefts_configuration_is_classified_once(config: Any) -> None:
    names = {field.name for field in dataclasses.fields(config)}
    assert names <= USED | HARMLESS.keys()
    assert not USED & HARMLESS.keys()
    # What goes on to LoRA's configuration means the same there.
    shared = (fields.USED | fields.HARMLESS.keys()) & (USED | HARMLESS.keys())
    assert shared == (USED | HARMLESS.keys()) - {
        "alpha", "decompose_both", "decompose_factor", "init_weights", "module_dropout",
        "rank_dropout", "rank_dropout_scale", "use_effective_conv2d",
    }  # fmt: skip


def changed(tmp_path: Path, case: str = "loha", **values: Any) -> Path:
    folder = tmp_path / "changed"
    trained(case, folder)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def test_a_rank_that_contradicts_the_tensors_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"q_proj` has rank 2, but adapter_config.json says 4"):
        superpose.load(changed(tmp_path, r=4))


def test_a_key_of_another_type_is_refused_by_name(tmp_path: Path) -> None:
    folder = changed(tmp_path, use_rslora=True, strange=1)
    with pytest.raises(Refused, match="`use_rslora` is not one of LOHA's; the key `strange`"):
        superpose.load(folder)
    superpose.load(folder, ignore_keys=["use_rslora", "strange"])


@pytest.mark.parametrize("case", ["loha", "lokr"])
def test_a_missing_tensor_is_named(tmp_path: Path, case: str) -> None:
    folder = changed(tmp_path, case)
    tensors = load_file(folder / WEIGHTS)
    name = next(name for name in tensors if name.endswith(("hada_w1_b", "lokr_w2_b")))
    del tensors[name]
    save_file(tensors, folder / WEIGHTS)
    role = name.rpartition(".")[2]
    with pytest.raises(BadInput, match=rf"{WEIGHTS}: module `model.*`: tensor `{role}` is missing"):
        superpose.load(folder)


def test_a_factor_of_lora_between_them_is_refused_by_name(tmp_path: Path) -> None:
    folder = changed(tmp_path)
    extra = {f"base_model.model.x.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}
    save_file({**load_file(folder / WEIGHTS), **extra}, folder / WEIGHTS)
    with pytest.raises(Refused, match=r"`base_model.model.x.lora_A.weight`: a LoRA factor"):
        superpose.load(folder)


def test_a_folder_without_its_products_is_bad_input(tmp_path: Path) -> None:
    folder = changed(tmp_path, peft_type="LOKR")
    with pytest.raises(Refused, match="a LoHa or LoKr factor"):
        superpose.load(folder)
    save_file({}, folder / WEIGHTS)
    with pytest.raises(BadInput, match="holds no factors of type LOKR"):
        superpose.load(folder)


def test_other_types_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'VERA'; superpose adds LORA, ADALORA, LOHA and LOKR"):
        superpose.load(changed(tmp_path, peft_type="VERA"))
