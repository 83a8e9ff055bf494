"""`superpose add --verify BASE`: done when PEFT agrees, 1 when it does not, 3 without a base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from superpose.cli.app import main
from superpose.landscape import base_model
from superpose.landscape.base_model import BaseModel

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter


@pytest.fixture
def pair(write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two adapters, and a base model that has their target modules."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        num_hidden_layers=1,
        hidden_size=8,
        intermediate_size=8,
        num_attention_heads=2,
        vocab_size=31,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    base = BaseModel("tiny", "tiny", model, None)
    load_base = base_model.load_base
    monkeypatch.setattr(
        base_model, "load_base", lambda name: base if name == "tiny" else load_base(name)
    )
    return [write_adapter("a", seed=1), write_adapter("b", seed=2, use_rslora=True)]


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["add", *map(str, args)])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_an_exact_sum_is_done_and_the_figures_are_told(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sum"
    assert run(pair[0], f"{pair[1]}:-0.5", "-o", out, "--verify", "tiny", "--json") == 0
    found = json.loads(capfd.readouterr().out)["verify"]
    assert found["holds"] is True
    assert found["logits_error"] < 1e-4
    assert found["weights_error"] < 1e-6


def test_a_smaller_rank_is_reported_and_not_a_failure(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*pair, "-o", tmp_path / "sum", "--rank", 1, "--verify", "tiny") == 0
    assert "an approximation: logits differ by" in capfd.readouterr().out


def test_a_result_that_is_not_the_sum_is_exit_code_1(
    pair: list[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from superpose.landscape import verify

    honest = verify.verify_sum

    def of_other_weights(base: Any, result: Any, parents: Any, **options: Any) -> Any:
        return honest(base, result, [(name, 2 * weight) for name, weight in parents], **options)

    monkeypatch.setattr(verify, "verify_sum", of_other_weights)
    assert run(*pair, "-o", tmp_path / "sum", "--verify", "tiny") == 1
    assert "the result is not the sum" in capfd.readouterr().err


def test_a_base_that_is_not_here_is_exit_code_3_and_nothing_is_written(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*pair, "-o", tmp_path / "sum", "--verify", "nobody/nothing") == 3
    assert "nobody/nothing" in capfd.readouterr().err
    assert not (tmp_path / "sum").exists()
