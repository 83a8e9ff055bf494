"""DoRA in PEFT folders: what needs the base model, and files that do not agree with themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.formats.kinds import (
    CLOSE,
    Convolutions,
    changes,
    distance,
    gpt2,
    llama,
    make,
    opt,
    plain,
    quietly,
)

import superpose
from superpose.compose import BestRank, OnBase
from superpose.errors import BadInput, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.formats.peft.read import read_peft


@quietly
def test_dora_is_refused_as_an_adapter_and_approximated_at_a_rank_with_its_error(
    tmp_path: Path,
) -> None:
    for seed in (0, 1):
        make(tmp_path / f"{seed}", llama(), {"use_dora": True}, seed)
        with pytest.raises(Refused, match="use_dora"):
            superpose.load(tmp_path / f"{seed}")
    llama().save_pretrained(tmp_path / "base")
    base = Checkpoint.open(tmp_path / "base")
    parents = [(tmp_path / "0", 1.0), (tmp_path / "1", -0.7)]
    total = superpose.exact_sum([read_peft(p, dora=True) for p, _ in parents], [1.0, -0.7])
    with pytest.raises(Refused, match="DoRA"):
        superpose.save(total, tmp_path / "sum")
    full = BestRank(32, base).of(total)
    superpose.save(full, tmp_path / "sum")
    assert full.made.exact
    assert distance(llama, parents, tmp_path / "sum") < CLOSE

    half = BestRank(12, base).of(total)
    both = [changes(llama(), path) for path, _ in parents]
    kept, whole = 0.0, 0.0
    for key in half:
        right = (both[0][f"{key}.weight"] - 0.7 * both[1][f"{key}.weight"]).numpy()
        energies = np.linalg.svd(right, compute_uv=False) ** 2
        kept, whole = kept + energies[:12].sum(), whole + energies.sum()
    assert half.made.energy_kept == pytest.approx(kept / whole, rel=1e-5)


MIXED: dict[str, tuple[Callable[[], Any], list[dict[str, Any]], int]] = {
    "Conv1D, square and not, twice and once": (
        gpt2,
        [
            {"use_dora": True, "target_modules": ["c_proj", "c_attn"]},
            {"target_modules": ["c_proj"]},
        ],
        96,
    ),
    "stored tensors": (
        opt,
        [{"use_dora": True, "bias": "all"}, {"use_dora": True, "modules_to_save": ["fc1"]}],
        32,
    ),
    "rsLoRA and patterns": (
        llama,
        [
            {"use_dora": True, "use_rslora": True, "alpha_pattern": {"q_proj": 3}},
            {"use_dora": True, "target_modules": ["lm_head", "q_proj"]},
        ],
        61,
    ),
    "lora_bias": (
        opt,
        [{"use_dora": True}, {"lora_bias": True, "target_modules": ["q_proj", "v_proj"]}],
        32,
    ),
}


@quietly
@pytest.mark.parametrize("kind", MIXED)
def test_dora_at_full_rank_beside_another_kind_is_exact(kind: str, tmp_path: Path) -> None:
    base, settings, rank = MIXED[kind]
    parents = [(tmp_path / "0", 1.0), (tmp_path / "1", -0.7)]
    for number, (path, _) in enumerate(parents):
        make(path, base(), settings[number], number)
    base().save_pretrained(tmp_path / "base")
    checkpoint = Checkpoint.open(tmp_path / "base")
    total = superpose.exact_sum([read_peft(p, dora=True) for p, _ in parents], [1.0, -0.7])
    full = BestRank(rank, checkpoint).of(OnBase(checkpoint).of(total))
    superpose.save(full, tmp_path / "sum")
    assert full.made.exact
    assert distance(base, parents, tmp_path / "sum") < CLOSE


def _without(part: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda tensors: {n: x for n, x in tensors.items() if f"0.self_attn.{part}" not in n}


@quietly
@pytest.mark.parametrize(
    ("change", "use_dora", "problem"),
    [
        (_without("q_proj.lora_A"), True, "no partner"),
        (_without("q_proj.lora_m"), True, "no lora_magnitude_vector"),
        (lambda tensors: tensors, False, "use_dora is false"),
    ],
)
def test_dora_that_does_not_agree_with_itself_is_damage(
    change: Any, use_dora: bool, problem: str, tmp_path: Path
) -> None:
    """PEFT would make lengths up, or pass them over, and say nothing."""
    make(tmp_path / "a", llama(), {"use_dora": True}, 0)
    file, config = (
        tmp_path / "a" / n for n in ("adapter_model.safetensors", "adapter_config.json")
    )
    save_file(change(load_file(file)), file)
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_dora": use_dora}))
    with pytest.raises(BadInput, match=problem):
        read_peft(tmp_path / "a", dora=True)


@quietly
def test_lengths_without_factors_are_damage(tmp_path: Path) -> None:
    make(tmp_path / "a", llama(), {"use_dora": True}, 0)
    file = tmp_path / "a" / "adapter_model.safetensors"
    kept = _without("q_proj.lora_B")(_without("q_proj.lora_A")(load_file(file)))
    save_file(kept, file)
    with pytest.raises(BadInput, match="no factors beside it"):
        read_peft(tmp_path / "a", dora=True)


@quietly
@pytest.mark.parametrize("layer", ["one", "two"])
def test_dora_of_a_convolution_is_refused_with_file_setting_and_way_out(
    layer: str, tmp_path: Path
) -> None:
    make(tmp_path / "a", plain(Convolutions), {"use_dora": True, "target_modules": [layer]}, 0)
    with pytest.raises(Refused, match="does not compute") as caught:
        read_peft(tmp_path / "a", dora=True)
    assert "adapter_model.safetensors (use_dora)" in str(caught.value)
    assert "superpose extract" in str(caught.value)
