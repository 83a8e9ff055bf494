"""`superpose add --verify BASE`: done when PEFT agrees, 1 when it does not, 3 without a base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from superpose.cli.app import main
from superpose.model.base_model import BaseModel
from superpose.verbs import witness

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
    loaded_base = witness.loaded_base
    monkeypatch.setattr(
        witness,
        "loaded_base",
        lambda name, **where: base if name == "tiny" else loaded_base(name, **where),
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


def test_an_approximation_whose_kept_energy_rounds_to_1_is_still_one(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = (pair[0], f"{pair[1]}:1e-10", "-o", tmp_path / "sum", "--rank", 2, "--json")
    assert run(*args, "--verify", "tiny") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["energy_kept"] == 1.0
    assert found["verify"]["holds"] is None


def test_a_result_that_is_not_the_sum_is_exit_code_1(
    pair: list[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from superpose.model import verify

    honest = verify.expect_sum

    def of_other_weights(base: Any, parents: Any) -> Any:
        return honest(base, [(name, 2 * weight) for name, weight in parents])

    monkeypatch.setattr(verify, "expect_sum", of_other_weights)
    assert run(*pair, "-o", tmp_path / "sum", "--verify", "tiny") == 1
    captured = capfd.readouterr()
    assert f"wrote {tmp_path / 'sum'}" in captured.out
    assert "  not the sum: logits differ by" in captured.out
    assert "the result is not the sum" in captured.err
    assert "What was written stays" in captured.err
    assert (tmp_path / "sum/adapter_model.safetensors").exists()


def test_a_base_that_is_not_here_is_exit_code_3_and_nothing_is_written(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*pair, "-o", tmp_path / "sum", "--verify", "nobody/nothing") == 3
    assert "nobody/nothing" in capfd.readouterr().err
    assert not (tmp_path / "sum").exists()


def test_a_base_that_the_parents_do_not_fit_is_exit_code_2_and_nothing_is_written(
    write_adapter: WriteAdapter, pair: list[Path], tmp_path: Path, capfd: Any
) -> None:
    """The pair fits the base; these two, of one other width, fit each other alone."""
    wide = [write_adapter(name, width=12) for name in ("c", "d")]
    before = sorted(tmp_path.rglob("*"))
    assert run(*wide, "-o", tmp_path / "sum", "--verify", "tiny") == 2
    assert "does not load it on this base model" in capfd.readouterr().err
    content = (pair[0] / "adapter_config.json").read_bytes()
    assert run(*wide, "-o", pair[0], "--force", "--verify", "tiny") == 2
    assert sorted(tmp_path.rglob("*")) == before
    assert (pair[0] / "adapter_config.json").read_bytes() == content


def test_a_sum_that_replaces_a_parent_is_compared_with_what_the_parent_was(
    pair: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*pair, "-o", pair[0], "--force", "--verify", "tiny", "--json") == 0
    found = json.loads(capfd.readouterr().out)["verify"]
    assert found["holds"] is True
    assert found["weights_error"] < 1e-6


def test_a_misspelt_dtype_is_found_before_the_base_is_loaded(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(witness, "loaded_base", asked.append)
    assert run(*pair, "-o", tmp_path / "sum", "--verify", "tiny", "--dtype", "bf16") == 2
    assert asked == []
