"""kohya's scale, to the bit: the formula of its merge, evaluated by torch, is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from safetensors.torch import load_file, save_file

import superpose
from superpose.adapter import Adapter
from superpose.errors import BadInput, Refused
from superpose.formats.image.scaling import kohya_scale

from .conftest import MODULES, WriteLora, kohya_merge, lora, random

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32]


def weight_of(out: int, into: int, kernel: tuple[int, ...]) -> torch.Tensor:
    return random(out, into, *kernel, seed=99)


def merged_by_superpose(adapter: Adapter, module: str, weight: torch.Tensor) -> torch.Tensor:
    """Kohya's own operations on what superpose read: factors and coefficient."""
    ((scale, B, A),) = adapter[module].terms
    up, down = (torch.from_numpy(np.array(x, dtype=np.float32)) for x in (B, A))
    ones = [1] * (weight.dim() - 2)
    down = down.reshape(down.shape[0], weight.shape[1], *weight.shape[2:])
    file = {"m.lora_down.weight": down, "m.lora_up.weight": up.reshape(*up.shape, *ones)}
    return kohya_merge(weight, {**file, "m.alpha": torch.tensor(scale) * len(down)}, "m", 1.0)


@pytest.mark.parametrize("alpha", [None, 1.0, 3.0, 0.1, 7.7, -2.0, 128.0])
@pytest.mark.parametrize("rank", [1, 4, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_weight_merged_with_what_was_read_is_kohyas_own_to_the_bit(
    write_lora: WriteLora, alpha: float | None, rank: int, dtype: torch.dtype
) -> None:
    """Ranks are powers of two here, so that scale * rank / rank is the scale again."""
    path = write_lora("a", rank=rank, alpha=alpha, dtype=dtype)
    adapter = superpose.load(path)
    file = {name: tensor.float() for name, tensor in load_file(path).items()}
    for module, out, into, kernel in MODULES:
        weight = weight_of(out, into, kernel)
        expected = kohya_merge(weight, file, module, 1.0)
        assert torch.equal(merged_by_superpose(adapter, module, weight), expected)


@given(st.floats(2**-20, 2**20, width=32), st.integers(1, 1024), st.sampled_from(DTYPES))
def test_the_scale_is_torchs_quotient_of_float32_numbers(
    alpha: float, rank: int, dtype: torch.dtype
) -> None:
    """Whatever the alpha is stored in: kohya brings it to float32 first."""
    stored = torch.tensor(alpha).to(dtype)
    expected = (stored.float() / rank).item()
    assert kohya_scale(stored.double().item(), rank) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_alpha_is_read_in_every_dtype_and_shape_that_tools_write(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "a.safetensors"
    alpha = torch.full(shape, 5.0).to(dtype)
    save_file({**lora("lora_unet_x", 4, 4, rank=8), "lora_unet_x.alpha": alpha}, path)
    assert superpose.load(path)["lora_unet_x"].terms[0].coefficient == 5 / 8


def test_without_an_alpha_the_scale_is_1(write_lora: WriteLora) -> None:
    adapter = superpose.load(write_lora("a", alpha=None, rank=3))
    assert {term.coefficient for delta in adapter.values() for term in delta.terms} == {1.0}


def test_an_alpha_of_0_is_refused_because_kohyas_own_tools_disagree(write_lora: WriteLora) -> None:
    with pytest.raises(Refused, match=r"a.safetensors: tensor `lora_.*alpha` is 0.*rank in"):
        superpose.load(write_lora("a", alpha=0.0))


def test_an_alpha_of_several_numbers_is_bad_input(write_lora: WriteLora) -> None:
    wrong = {f"{MODULES[0][0]}.alpha": torch.ones(2)}
    with pytest.raises(BadInput, match=r"a.safetensors: tensor .*alpha` has shape \(2,\)"):
        superpose.load(write_lora("a", extra=wrong))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_file_written_again_merges_to_the_bit(
    write_lora: WriteLora, tmp_path: Path, dtype: torch.dtype
) -> None:
    """Where alpha / rank is a power of two nothing is rounded, in half precision either."""
    path = write_lora("a", rank=4, alpha=1.0, dtype=dtype)
    superpose.save(superpose.load(path), tmp_path / "again.safetensors")
    before, after = (
        {name: tensor.float() for name, tensor in load_file(p).items()}
        for p in (path, tmp_path / "again.safetensors")
    )
    for module, out, into, kernel in MODULES:
        weight = weight_of(out, into, kernel)
        for ratio in (1.0, 0.25, -2.0):
            merged = [kohya_merge(weight, file, module, ratio) for file in (before, after)]
            assert torch.equal(*merged)
        assert after[f"{module}.alpha"] == after[f"{module}.lora_down.weight"].shape[0] == 4


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float16, 2e-3)])
def test_a_sum_merges_like_its_parts_one_after_the_other(
    write_lora: WriteLora, tmp_path: Path, dtype: torch.dtype, bound: float
) -> None:
    paths = [
        write_lora("a", seed=1, rank=2, alpha=3.0, dtype=dtype),
        write_lora("b", seed=2, rank=5, alpha=None, dtype=dtype),
    ]
    a, b = (superpose.load(path) for path in paths)
    superpose.save(0.7 * a - 1.3 * b, tmp_path / "sum.safetensors")
    files = [
        {name: tensor.double() for name, tensor in load_file(path).items()}
        for path in (*paths, tmp_path / "sum.safetensors")
    ]
    for module, out, into, kernel in MODULES:
        zero = torch.zeros(out, into, *kernel, dtype=torch.float64)
        parts = kohya_merge(kohya_merge(zero, files[0], module, 0.7), files[1], module, -1.3)
        once: Any = kohya_merge(zero, files[2], module, 1.0)
        assert (once - parts).norm() <= bound * parts.norm()
