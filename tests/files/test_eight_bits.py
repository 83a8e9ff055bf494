"""Factors in float8 are read to the bit, and their sums written in a dtype that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import superpose as sp
from superpose.errors import BadInput
from superpose.files.tensors import open_tensors
from superpose.lowrank import dense

DTYPES = [torch.float8_e4m3fn, torch.float8_e5m2]
M = "transformer.transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_value_of_eight_bits_is_read_as_torch_reads_it(tmp_path: Path, dtype: Any) -> None:
    bits = torch.arange(256, dtype=torch.uint8).view(dtype)
    finite = bits[torch.isfinite(bits.float())]
    save_file({"x": finite}, tmp_path / "a.safetensors")
    found = open_tensors(tmp_path / "a.safetensors").read().tensors["x"]
    assert np.array_equal(found.astype(np.float64), finite.double().numpy())
    for value in bits[~torch.isfinite(bits.float())]:
        save_file({"x": value.reshape(1)}, tmp_path / "b.safetensors")
        with pytest.raises(BadInput, match="`x` holds NaN or infinity"):
            open_tensors(tmp_path / "b.safetensors").read()


def image(path: Path, dtype: Any, seed: int) -> Path:
    g = torch.Generator().manual_seed(seed)
    shapes = {"lora_A": (4, 16), "lora_B": (12, 4)}
    factors = {f"{M}.{s}.weight": torch.randn(n, generator=g).to(dtype) for s, n in shapes.items()}
    save_file(factors, path)
    return path


def product(path: Path) -> np.ndarray:
    found = load_file(path)
    up, down = (found[f"{M}.lora_{s}.weight"].double().numpy() for s in "BA")
    return up @ down


@pytest.mark.parametrize(
    ("dtypes", "written"),
    [
        (DTYPES, torch.float16),
        ([DTYPES[0], torch.bfloat16], torch.bfloat16),
        ([DTYPES[1], torch.float16], torch.float16),
        ([DTYPES[0], torch.float32], torch.float32),
    ],
)
def test_a_sum_is_written_in_the_narrowest_dtype_that_holds_every_parent(
    tmp_path: Path, dtypes: list[Any], written: Any
) -> None:
    a, b = (image(tmp_path / f"{i}.safetensors", d, i) for i, d in enumerate(dtypes))
    sp.save(sp.load(a) - sp.load(b), tmp_path / "sum.safetensors")
    found = load_file(tmp_path / "sum.safetensors")
    assert {tensor.dtype for tensor in found.values()} == {written}
    expected = product(a) - product(b)  # weights of 1: no rounding in any of these dtypes
    np.testing.assert_allclose(product(tmp_path / "sum.safetensors"), expected, atol=1e-13)
    sp.save(0.3 * sp.load(a), tmp_path / "small.safetensors", dtype="float32")
    np.testing.assert_allclose(product(tmp_path / "small.safetensors"), 0.3 * product(a), rtol=1e-5)


def test_add_says_what_it_writes_for_eight_bits_and_info_and_check_read_them(
    tmp_path: Path, superpose: Any
) -> None:
    a, b = (image(tmp_path / f"{i}.safetensors", DTYPES[0], i) for i in range(2))
    assert "float8_e4m3fn" in superpose("info", a).stdout
    assert superpose("check", a, b).returncode == 0
    done = superpose("add", a, b, "-o", tmp_path / "sum.safetensors")
    assert done.returncode == 0
    assert "factors in float8_e4m3fn are read exactly" in done.stderr
    assert "in float16" in done.stderr
    with safe_open(tmp_path / "sum.safetensors", "np") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} <= {"F16", "F32"}  # noqa: SIM118


def test_a_peft_folder_in_eight_bits_is_what_peft_makes_of_it(tmp_path: Path) -> None:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = torch.nn.Linear(16, 12, bias=False)

    model = peft.get_peft_model(
        Layer(), peft.LoraConfig(r=4, lora_alpha=6, target_modules=["proj"])
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(tmp_path / "a")
    file = tmp_path / "a" / "adapter_model.safetensors"
    save_file({name: tensor.to(DTYPES[1]) for name, tensor in load_file(file).items()}, file)
    loaded = peft.PeftModel.from_pretrained(Layer(), tmp_path / "a")
    expected = loaded.base_model.model.proj.get_delta_weight("default").double().detach().numpy()
    (delta,) = sp.load(tmp_path / "a").values()
    np.testing.assert_allclose(dense(delta.terms), expected, rtol=1e-5)
    sp.save(sp.load(tmp_path / "a"), tmp_path / "again")
    (again,) = sp.load(tmp_path / "again").values()
    np.testing.assert_allclose(dense(again.terms), expected, rtol=2e-3)
