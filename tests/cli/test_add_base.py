"""`superpose add --base`: what is stored in place of the base's tensors, and DoRA at a rank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file

if TYPE_CHECKING:
    from conftest import Superpose


def trained(base: Path, out: Path, seed: int, **settings: Any) -> Path:
    """An adapter of `base` that PEFT saved, every trained value moved by a random amount."""
    import peft
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", **settings)
    adapted = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    adapted.save_pretrained(out)
    return out


@pytest.mark.filterwarnings("ignore")
def test_a_stored_module_needs_the_base_and_is_exact_with_it(
    superpose: Superpose, tiny_base: Path, tmp_path: Path
) -> None:
    a, b = (
        trained(tiny_base, tmp_path / n, i, modules_to_save=["norm"]) for i, n in enumerate("ab")
    )
    alone = superpose("add", a, f"{b}:-0.5", "-o", tmp_path / "sum")
    assert alone.returncode == 2
    assert "norm.weight` is stored as it is" in alone.stderr
    assert "--base BASE" in alone.stderr
    assert not (tmp_path / "sum").exists()

    done = superpose("add", a, f"{b}:-0.5", "--base", tiny_base, "-o", tmp_path / "sum")
    assert done.returncode == 0, done.stderr
    key = "base_model.model.model.norm.weight"
    x, y, z = (load_file(p / "adapter_model.safetensors")[key] for p in (a, b, tmp_path / "sum"))
    w = load_file(tiny_base / "model.safetensors")["model.norm.weight"]
    np.testing.assert_allclose(z, w + (x - w) - 0.5 * (y - w), rtol=1e-6)

    half = superpose("add", f"{a}:0.5", f"{b}:0.5", "-o", tmp_path / "half")
    assert half.returncode == 0, half.stderr
    z = load_file(tmp_path / "half/adapter_model.safetensors")[key]
    np.testing.assert_allclose(z, (x + y) / 2, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_dora_is_written_at_a_rank_and_the_energy_it_keeps_is_said(
    superpose: Superpose, tiny_base: Path, tmp_path: Path
) -> None:
    a = trained(tiny_base, tmp_path / "a", 0, use_dora=True)
    alone = superpose("add", a, "-o", tmp_path / "sum")
    assert alone.returncode == 2
    assert "superpose bake" in alone.stderr
    unranked = superpose("add", a, "--base", tiny_base, "-o", tmp_path / "sum")
    assert unranked.returncode == 2
    assert "--rank" in unranked.stderr
    done = superpose("add", a, "--base", tiny_base, "--rank", 8, "-o", tmp_path / "sum", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["rank"] == 8
    assert 0.5 < said["energy_kept"] < 1.0
    assert said["exact"] is False


def test_verify_says_what_proves_more_than_linear_deltas(
    superpose: Superpose, tiny_base: Path, tmp_path: Path
) -> None:
    a = trained(tiny_base, tmp_path / "a", 0, modules_to_save=["norm"])
    refused = superpose("add", a, "-o", tmp_path / "sum", "--verify", tiny_base)
    assert refused.returncode == 2
    assert "superpose verify" in refused.stderr
    assert not (tmp_path / "sum").exists()


@pytest.mark.filterwarnings("ignore")
def test_dora_is_merged_by_other_methods_once_it_is_written_as_deltas_as_the_refusal_says(
    superpose: Superpose, tiny_base: Path, tmp_path: Path
) -> None:
    a = trained(tiny_base, tmp_path / "a", 0, use_dora=True)
    b = trained(tiny_base, tmp_path / "b", 1)
    how = ("--method", "tsv", "-o", tmp_path / "out")
    refused = superpose("add", a, b, "--base", tiny_base, *how)
    assert refused.returncode == 2
    assert "`tsv` merges deltas alone" in refused.stderr
    way = "superpose add ADAPTER --base BASE --rank 16 -o PLAIN"
    assert way in " ".join(refused.stderr.split())
    named = {"ADAPTER": a, "BASE": tiny_base, "PLAIN": tmp_path / "plain"}
    followed = superpose(*(named.get(word, word) for word in way.split()[1:]))
    assert followed.returncode == 0, followed.stderr
    assert superpose("add", tmp_path / "plain", b, *how).returncode == 0


@pytest.mark.filterwarnings("ignore")
def test_stored_modules_are_averaged_without_the_base(
    superpose: Superpose, tiny_base: Path, tmp_path: Path
) -> None:
    a, b = (
        trained(tiny_base, tmp_path / n, i, modules_to_save=["norm"]) for i, n in enumerate("ab")
    )
    refused = superpose("add", a, b, "--method", "ties", "-o", tmp_path / "ties")
    assert refused.returncode == 2
    assert "The methods sum and average take stored tensors as well" in refused.stderr
    assert superpose("add", a, b, "--method", "average", "-o", tmp_path / "mean").returncode == 0
    key = "base_model.model.model.norm.weight"
    x, y, z = (
        load_file(tmp_path / n / "adapter_model.safetensors")[key] for n in ("a", "b", "mean")
    )
    np.testing.assert_allclose(z, (x + y) / 2, rtol=1e-6)
