"""Tensors that PEFT stores whole, of any size and dtype, and ranks that a module's parts share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import peft
import torch
from safetensors.numpy import load_file
from tests.formats.kinds import Convolutions, llama, make, plain, quietly
from torch import nn

import superpose
from superpose.files import write_tensors
from superpose.files.tensors import numpy_dtype


class Normed(nn.Module):
    """A layer with counts in its state, and one that is a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)
        for _ in range(4):
            self.norm(torch.randn(5, 8))
        self.scale = nn.Module()
        self.scale.size = nn.Parameter(torch.tensor(2.0))


@quietly
def test_stored_tensors_keep_their_precision_beside_factors_in_halves(tmp_path: Path) -> None:
    """A step of bfloat16 is larger than what training changes in a tensor of ones."""
    paths = [tmp_path / "0", tmp_path / "1"]
    for number, path in enumerate(paths):
        make(path, llama(), {"modules_to_save": ["norm"]}, number)
        file = path / "adapter_model.safetensors"
        dtype = numpy_dtype("bfloat16")
        halves = {n: x.astype(dtype) if "lora_" in n else x for n, x in load_file(file).items()}
        file.unlink()
        write_tensors(file, halves, {})
    parts = [superpose.load(path) for path in paths]
    right = {k: 0.3 * r.value() + 0.7 * parts[1].replacements[k].value()
             for k, r in parts[0].replacements.items()}  # fmt: skip
    total = superpose.exact_sum(parts, [0.3, 0.7])
    superpose.save(total, tmp_path / "sum")
    found = superpose.load(tmp_path / "sum")
    assert {dtype for delta in found.values() for dtype in delta.stored} == {"bfloat16"}
    for key, replacement in found.replacements.items():
        np.testing.assert_allclose(replacement.value(), right[key], rtol=1e-7)
    superpose.save(total, tmp_path / "asked", dtype="bfloat16")
    asked = superpose.load(tmp_path / "asked").replacements.values()
    assert {dtype for replacement in asked for dtype in replacement.stored} == {"bfloat16"}


@quietly
def test_batchnorms_count_and_a_single_number_are_stored_like_the_rest(tmp_path: Path) -> None:
    settings = {"target_modules": ["linear"], "modules_to_save": ["norm", "scale"]}
    for number in (0, 1):
        make(tmp_path / f"{number}", plain(Normed), settings, number)
    parts = [superpose.load(tmp_path / f"{number}") for number in (0, 1)]
    superpose.save(superpose.exact_sum(parts, [0.25, 0.75]), tmp_path / "sum")
    model = peft.PeftModel.from_pretrained(plain(Normed), tmp_path / "sum").base_model.model
    state = model.norm.modules_to_save["default"].state_dict()
    assert int(state["num_batches_tracked"]) == 4
    for name, part in (("norm.running_var", state["running_var"]),
                       ("scale.size", model.scale.modules_to_save["default"].size)):  # fmt: skip
        x, y = (part_of.replacements[name].value() for part_of in parts)
        np.testing.assert_allclose(part.detach().numpy(), 0.25 * x + 0.75 * y, rtol=1e-6)


@quietly
def test_a_rank_is_that_of_the_module_where_groups_share_it(tmp_path: Path) -> None:
    settings = {"target_modules": ["two"], "r": 8}
    for number in (0, 1):
        make(tmp_path / f"{number}", plain(Convolutions), settings, number)
    total = superpose.load(tmp_path / "0") - superpose.load(tmp_path / "1")
    assert total.rank == 16
    superpose.save(total.compress(4), tmp_path / "sum")
    config = json.loads((tmp_path / "sum" / "adapter_config.json").read_text())
    assert config["r"] == 4
    assert {delta.rank for delta in superpose.load(tmp_path / "sum").values()} == {2}
