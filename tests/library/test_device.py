"""All pairs on torch tensors are those of NumPy, and a device that is not here is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.library.making import random_factors, write_factors

import superpose
from superpose.cli.app import main
from superpose.errors import BadInput, BadSetting
from superpose.library.block_sums import block_sums
from superpose.library.blocks import Stacked, StackedModule
from superpose.library.opened import open_library
from superpose.library.pairs import all_pairs
from superpose.library.placing import products_there
from superpose.verbs.device import place_on

BASE = "org/tiny-llama"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("device")
    for number in range(9):
        factors = random_factors(number, rank=1 + number % 4, modules=3 + number % 4)
        write_factors(top / "all" / f"a{number}", factors)
    superpose.index(top / "all", top / "library.index")
    return top / "library.index"


def emptied(index: Path) -> Path:
    for file in (index / "pairs").glob("*.parquet"):
        file.unlink()
    return index


IN_A_WORKER = superpose.Execution(cpus_per_task=1)


@pytest.mark.parametrize("execution", [superpose.Execution(), IN_A_WORKER], ids=["here", "worker"])
def test_all_pairs_on_torch_tensors_are_those_of_numpy(
    indexed: Path, monkeypatch: pytest.MonkeyPatch, execution: superpose.Execution
) -> None:
    assert not IN_A_WORKER.in_process
    monkeypatch.setattr("superpose.library.pairs.BLOCK_BYTES", 12_000)
    right = all_pairs(open_library(emptied(indexed)), BASE)
    found = all_pairs(open_library(emptied(indexed)), BASE, None, execution, place_on("cpu"))
    for one, other in zip(right, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_check_on_a_device_says_what_one_in_numpy_says(indexed: Path) -> None:
    right = superpose.check(index=emptied(indexed)).to_json()["bases"]
    found = superpose.check(index=emptied(indexed), device="cpu").to_json()["bases"]
    assert [one["clusters"] for one in right] == [one["clusters"] for one in found]
    assert right[0]["pairs"] == found[0]["pairs"]  # which are told from the files, exactly


@pytest.mark.parametrize("heights", [[3], [1, 1, 1], [2, 5, 2, 1, 5], [4, 1]])
def test_sums_of_unequal_blocks_are_numpys_own(heights: list[int]) -> None:
    rng = np.random.default_rng(len(heights))
    starts, size = np.cumsum([0, *heights[:-1]]), sum(heights)
    x = rng.standard_normal((size, size))
    right = block_sums(x, starts, starts)
    np.testing.assert_allclose(block_sums(torch.from_numpy(x), starts, starts), right, atol=1e-12)
    assert right.sum() == pytest.approx(x.sum())


def test_a_device_that_is_unknown_or_not_here_is_refused_with_a_way_out(indexed: Path) -> None:
    with pytest.raises(BadSetting, match="'gpu' is no device that torch knows") as unknown:
        superpose.check(index=indexed, device="gpu")
    assert (unknown.value.where, unknown.value.exit_code) == ("device", 2)
    if not torch.cuda.is_available():
        with pytest.raises(BadSetting, match="torch cannot use the device 'cuda:7'") as missing:
            superpose.check(index=indexed, device="cuda:7")
        assert missing.value.exit_code == 2
        assert "Leave `device` out" in (missing.value.hint or "")
    assert superpose.check(index=indexed, device="auto").bases
    assert place_on(None) is None


def test_a_device_goes_with_an_index_alone(
    indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadSetting, match="index"):
        superpose.check(["a", "b"], device="cpu")  # type: ignore[call-overload]
    for words, said in (
        (["a", "b", "--device", "cpu"], "--device: goes with --index"),
        (["--index", str(indexed), "--device", "gpu"], "--device: 'gpu' is no device"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["check", *words])
        assert end.value.code == 2
        assert said in capsys.readouterr().err


def test_a_device_whose_memory_is_too_small_is_said() -> None:
    class Full:
        shape = (1, 1)
        T = property(lambda self: self)

        def __matmul__(self, other: object) -> object:
            raise torch.OutOfMemoryError("CUDA out of memory")

    one = np.zeros(1, int)
    module = StackedModule(one, one, Full(), Full(), np.ones(1))
    block = Stacked(1, {"m": module})
    with pytest.raises(BadInput, match="memory"):
        products_there(block, block)
