"""`--device` of every command that loads a base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import superpose
from superpose.errors import BadSetting
from superpose.model.carried import CarriedBase
from superpose.verbs.base import loaded_base

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def commands(
    tiny_base: Path, write_adapter: Any, question_files: dict[str, Path], tmp_path: Path
) -> dict[str, tuple[object, ...]]:
    """The words of each command that has the option."""
    adapters = [
        write_adapter(name, seed=seed, width=32, base_model="tiny-llama",
                      modules=["model.layers.0.self_attn.q_proj"])
        for seed, name in enumerate(question_files)
    ]  # fmt: skip
    rows, few = [*question_files.values()], ("--rows", 4, "--max-tokens", 64)
    data = [word for path in rows for word in ("--data", path)]
    on_base = (tiny_base, *adapters)
    return {
        "add --data": (
            *adapters,
            "--base",
            tiny_base,
            "--method",
            "regmean",
            *data,
            *few,
            "-o",
            tmp_path / "merged",
        ),
        "add --verify": (*adapters, "-o", tmp_path / "sum", "--verify", tiny_base),
        "ask": (*on_base, "--prompt", "1 + 1?", "--max-new-tokens", 2),
        "compare": (*on_base, *data, "--methods", "sum,average", "--passes", 2, *few),
        "eval": (*on_base, *data, *few),
        "predict": (*on_base, *data, *few),
        "statistics": (tiny_base, rows[0], "-o", tmp_path / "inputs", *few),
        "train": (tiny_base, rows[0], "-o", tmp_path / "trained", "--targets", "q_proj", *few),
        "tune": (*on_base, *data, *few),
    }


def test_every_command_with_a_base_takes_a_device(
    run: Run, commands: dict[str, tuple[object, ...]]
) -> None:
    """On the CPU each does its work; nowhere is a device that is not here a traceback."""
    for command, words in commands.items():
        ended = run(command.split()[0], *words, "--device", "cpu", "-q")
        assert ended.code == 0, f"{command}: {ended.err}"
    for command, words in commands.items():
        words = (*words, "--force") if "-o" in words else words
        for name, said in (
            ("gpu", "error: --device: 'gpu' is no device that torch knows\nSuch as cpu, cuda"),
            ("meta", "error: --device: torch cannot use the device 'meta' here: "),
        ):
            ended = run(command.split()[0], *words, "--device", name, "-q")
            assert (ended.code, ended.out) == (2, ""), command
            assert said in ended.err, command


def test_add_without_a_base_to_load_has_no_place_for_a_device(
    run: Run, commands: dict[str, Any], tmp_path: Path
) -> None:
    adapters = commands["add --verify"][:2]
    ended = run("add", *adapters, "-o", tmp_path / "out", "--device", "cpu")
    assert ended.code == 2
    assert "--device: goes with data or verify, which load a base model" in ended.err
    with pytest.raises(BadSetting, match="goes with data or verify"):
        superpose.merge(list(adapters), device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(run: Run, commands: dict[str, Any]) -> None:
    ended = run("eval", *commands["eval"], "--device", "cuda")
    assert ended.code == 2
    assert "--device: torch cannot use the device 'cuda' here: Torch not compiled" in ended.err
    assert "torch finds no accelerator here. Leave `device` out for the CPU" in ended.err


def test_the_trainer_works_on_the_first_gpu(run: Run, commands: dict[str, Any]) -> None:
    ended = run("train", *commands["train"], "--device", "cuda:1")
    assert ended.code == 2
    assert "CUDA_VISIBLE_DEVICES=1" in ended.err


def test_a_worker_loads_the_base_where_it_was_asked_to_be(tiny_base: Path) -> None:
    base = loaded_base(tiny_base, device="cpu")
    assert CarriedBase.of(base).device == "cpu"
    assert CarriedBase.of(base).load() is base
