"""PEFT is the truth: what is read is what PEFT merges, what is written is what PEFT loads."""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import superpose

LLAMA = [
    "plain", "rslora", "rank_pattern", "alpha_pattern", "some_layers", "all_linear", "float16",
    "bfloat16",
]  # fmt: skip
GPT2 = ["conv1d", "conv1d_flag_wrong", "conv1d_patterns"]


def relative(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


@pytest.mark.parametrize("spelling", [*LLAMA, *GPT2])
def test_a_loaded_adapter_has_the_deltas_that_peft_merges(
    spelling: str, spelled: Any, oracle: Any
) -> None:
    truth = spelled(spelling)
    adapter = superpose.load(truth.path)
    assert set(adapter) == set(truth.deltas)
    for module, delta in adapter.items():
        assert delta.shape == truth.deltas[module].shape
        assert relative(oracle.dense64(delta), truth.deltas[module]) < 1e-12


@pytest.mark.parametrize("spelling", [*LLAMA, *GPT2])
@pytest.mark.parametrize("compact", [False, True], ids=["portable", "compact"])
def test_an_adapter_written_with_weight_1_is_that_adapter_again(
    spelling: str, compact: bool, spelled: Any, oracle: Any, tmp_path: Path
) -> None:
    truth = spelled(spelling)
    superpose.save(superpose.load(truth.path), tmp_path / "copy", dtype="float32", compact=compact)
    again = superpose.load(tmp_path / "copy")
    assert set(again) == set(truth.deltas)
    for module, delta in again.items():
        assert relative(oracle.dense64(delta), truth.deltas[module]) < 1e-6


PAIRS = [*itertools.pairwise([*LLAMA, LLAMA[0]]), *itertools.pairwise([*GPT2, GPT2[0]])]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
@pytest.mark.parametrize("compact", [False, True], ids=["portable", "compact"])
def test_peft_loads_a_sum_whose_logits_are_base_plus_the_parents_own_deltas(
    pair: tuple[str, str], compact: bool, spelled: Any, oracle: Any, tmp_path: Path
) -> None:
    weights = (1.0, -0.7)
    truths = [spelled(spelling, seed) for seed, spelling in enumerate(pair)]
    # Models made from a configuration have no name that two adapters could share.
    total = superpose.exact_sum([superpose.load(t.path) for t in truths], weights, same_base=True)
    superpose.save(total, tmp_path / "sum", dtype="float32", compact=compact)

    base = oracle.MODELS[truths[0].model]()
    bare = oracle.peft_logits(base, None)
    for truth, weight in zip(truths, weights, strict=True):
        for module, delta in truth.deltas.items():
            _add(base.get_submodule(module), weight * delta)
    right = oracle.peft_logits(base, None)
    ours = oracle.peft_logits(oracle.MODELS[truths[0].model](), tmp_path / "sum")
    assert np.linalg.norm(ours - right) / np.linalg.norm(right - bare) < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_reported_rounding_error_is_the_one_that_peft_sees(
    dtype: str, spelled: Any, oracle: Any, tmp_path: Path
) -> None:
    truths = [spelled("rslora"), spelled("rank_pattern", 1)]
    total = superpose.exact_sum([superpose.load(t.path) for t in truths], (0.3, 0.9))
    written = superpose.save(total, tmp_path / "sum", dtype=dtype)
    seen = oracle.merged_deltas(oracle.MODELS["llama"](), tmp_path / "sum")
    right = {m: oracle.dense64(delta) for m, delta in total.items()}
    lost = np.sqrt(sum(np.linalg.norm(seen[m] - right[m]) ** 2 for m in right))
    size = np.sqrt(sum(np.linalg.norm(right[m]) ** 2 for m in right))
    assert written.rounding_error == pytest.approx(lost / size, rel=1e-3)
    assert written.rounding_error > 0


def test_the_rounding_error_of_float32_is_measured_below_float32s_own_unit(
    spelled: Any, oracle: Any, tmp_path: Path
) -> None:
    total = 0.1 * superpose.load(spelled("plain").path)
    written = superpose.save(total, tmp_path / "sum")
    seen = oracle.merged_deltas(oracle.MODELS["llama"](), tmp_path / "sum")
    lost = np.sqrt(sum(np.linalg.norm(seen[m] - oracle.dense64(d)) ** 2 for m, d in total.items()))
    assert 0 < written.rounding_error < 1e-7
    assert written.rounding_error == pytest.approx(lost / total.norm(), rel=0.01)


def test_portable_means_one_rank_scaling_1_and_no_patterns(spelled: Any, tmp_path: Path) -> None:
    total = superpose.load(spelled("rank_pattern").path) + superpose.load(spelled("rslora").path)
    written = superpose.save(total, tmp_path / "sum")
    config = json.loads((tmp_path / "sum/adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == written.rank == total.rank
    assert not config["use_rslora"]
    assert config["rank_pattern"] == config["alpha_pattern"] == {}
    again = superpose.load(tmp_path / "sum")
    assert {delta.rank for delta in again.values()} == {total.rank}
    assert {term.coefficient for delta in again.values() for term in delta.terms} == {1.0}


def test_compact_keeps_each_modules_rank_and_alpha_follows_rank(
    spelled: Any, tmp_path: Path
) -> None:
    total = superpose.load(spelled("rank_pattern").path) + superpose.load(spelled("rslora").path)
    superpose.save(total, tmp_path / "sum", compact=True)
    config = json.loads((tmp_path / "sum/adapter_config.json").read_text())
    assert config["rank_pattern"] == config["alpha_pattern"] != {}
    again = superpose.load(tmp_path / "sum")
    assert {m: d.rank for m, d in again.items()} == {m: d.rank for m, d in total.items()}


def test_no_warning_is_made_of_what_peft_itself_writes(spelled: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spelling in [*LLAMA, *GPT2]:
            superpose.load(spelled(spelling).path)


def _add(module: Any, delta: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        change = torch.from_numpy(delta)
        conv = type(module).__name__ == "Conv1D"
        module.weight.copy_((module.weight.double() + (change.T if conv else change)).float())
