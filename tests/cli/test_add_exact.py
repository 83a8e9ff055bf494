"""`superpose add --rank` says exact of what is exact, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from superpose.cli.app import main

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def almost_rank_1(write_adapter: WriteAdapter) -> Path:
    """An adapter of rank 2 whose second direction is 1e-5 of the first."""
    folder = write_adapter("a")
    tensors = load_file(folder / WEIGHTS)
    for name, tensor in tensors.items():
        if "lora_B" in name:
            tensor[:, 1] *= 1e-5
    save_file(tensors, folder / WEIGHTS)
    return folder


def run(capfd: pytest.CaptureFixture[str], *args: object) -> str:
    with pytest.raises(SystemExit) as end:
        main(["add", *map(str, args)])
    assert end.value.code == 0
    return capfd.readouterr().out


def test_a_sum_that_keeps_almost_all_is_not_called_exact(
    almost_rank_1: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = run(capfd, almost_rank_1, "-o", tmp_path / "sum", "--rank", 1)
    assert "keeps all but" in said
    assert "exact" not in said
    assert "100.00 %" not in said


def test_json_tells_whether_the_sum_is_exact(
    almost_rank_1: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads(run(capfd, almost_rank_1, "-o", tmp_path / "whole", "--json"))
    short = json.loads(run(capfd, almost_rank_1, "-o", tmp_path / "s", "--rank", 1, "--json"))
    assert whole["exact"] is True
    assert short["exact"] is False
    assert 0.99 < short["energy_kept"] <= 1.0


@pytest.mark.filterwarnings("default::superpose.errors.SuperposeWarning")
def test_a_sum_that_cancels_is_zero_and_has_no_energy_to_keep(
    write_adapter: WriteAdapter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a = write_adapter("a", rank=3)
    args = [f"{a}:0.3", f"{a}:-0.3", "-o", tmp_path / "sum", "--rank", 2, "--json"]
    with pytest.raises(SystemExit) as end:
        main(["add", *map(str, args)])
    said = capfd.readouterr()
    assert end.value.code == 0
    assert "warning: the sum is zero: `0*a` adds nothing" in said.err
    assert json.loads(said.out)["energy_kept"] is None
    tensors = load_file(tmp_path / "sum" / WEIGHTS)
    assert not any(np.any(x) for name, x in tensors.items() if "lora_B" in name)
    assert "NaN" not in (tmp_path / "sum" / WEIGHTS).read_bytes()[:2000].decode("latin-1")
