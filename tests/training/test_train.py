"""Training a tiny model for real: it learns, it repeats, and it leaves the base as it was."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from tests.docs.forks import superpose_on_path

import superpose
from superpose.data.domain import read_rows
from superpose.data.prompt import Example, Prompt
from superpose.errors import BadInput, MissingExtra, OutputExists
from superpose.measure.evaluate import score
from superpose.model import SuperposedModel, load_base
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.training.train import train

LORA = LoraSettings(rank=2, alpha=16, dropout=0.0, targets=("q_proj", "v_proj", "down_proj"))
QUICK = TrainingSettings(epochs=3, learning_rate=0.02, batch_size=8)


@pytest.fixture
def examples(tiny_base: Path, question_files: dict[str, Path]) -> list[Example]:
    prompt = Prompt(load_base(tiny_base).tokenizer, max_tokens=64, template="{question}")
    return prompt.encode_all(read_rows(question_files["sums"]))


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_an_adapter_learns_and_the_base_is_as_before(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    before = _tensors(base.model)
    trained = train(base, examples, tmp_path / "a", lora=LORA, training=QUICK, seed=1)
    assert (trained.rows, trained.steps, len(trained.losses)) == (32, 12, 12)
    assert trained.tokens == 3 * sum(example.length for example in examples)
    assert trained.answer_tokens == 3 * sum(len(example.answer) for example in examples)
    after = _tensors(base.model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    untrained = score(base.model, examples)
    with (
        SuperposedModel(base.model, [superpose.load(tmp_path / "a")]) as model,
        model.at([1.0]) as adapted,
    ):
        assert score(adapted, examples).nll < untrained.nll - 0.3


def test_the_folder_is_one_that_peft_and_superpose_read(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    train(base, examples, tmp_path / "a", lora=LORA, training=QUICK)
    assert peft.LoraConfig.from_pretrained(tmp_path / "a").base_model_name_or_path == base.name
    assert superpose.load(tmp_path / "a").rank == 2
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])  # PEFT: a set's order
    assert list(config) == sorted(config)
    record = json.loads((tmp_path / "a" / "training.json").read_text())
    assert record["lora"]["alpha"] == 16
    assert record["steps"] == 12
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("a")) == ["a"]


def test_the_base_of_a_hub_is_named_by_repository_and_revision_and_never_by_the_cache(
    tiny_base: Path, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As load_base leaves it: the name without the revision, which has a field of its own."""
    base = load_base(tiny_base)
    monkeypatch.setattr(base.model, "name_or_path", "org/base")
    monkeypatch.setattr(base.model.config, "_name_or_path", "org/base")
    of_hub = replace(base, name="org/base@v1", revision="v1")
    train(of_hub, examples, tmp_path / "a", lora=LORA, training=QUICK)
    config = peft.LoraConfig.from_pretrained(tmp_path / "a")
    assert (config.base_model_name_or_path, config.revision) == ("org/base", "v1")
    card = (tmp_path / "a/README.md").read_text()
    assert "\nbase_model: org/base\n" in card
    assert base.path not in card


def test_one_seed_gives_one_adapter_and_another_seed_another(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    dropout = replace(LORA, dropout=0.2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(base, examples, tmp_path / name, lora=dropout, training=QUICK, seed=seed)
    weights = [(tmp_path / n / "adapter_model.safetensors").read_bytes() for n in "abc"]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_accumulated_steps_are_the_large_batch(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    """Two half batches a step give the loss of the whole batch, token by token."""
    base = load_base(tiny_base)
    once = TrainingSettings(epochs=1, learning_rate=0.01, batch_size=32)
    train(base, examples, tmp_path / "whole", lora=LORA, training=once, seed=3)
    halves = replace(once, batch_size=16, trainer={"gradient_accumulation_steps": 2})
    train(base, examples, tmp_path / "halves", lora=LORA, training=halves, seed=3)
    whole, accumulated = (superpose.load(tmp_path / name) for name in ("whole", "halves"))
    assert whole.cosine(accumulated) == pytest.approx(1, abs=1e-3)


def test_a_training_goes_on_from_the_trainers_checkpoint(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    saving = replace(QUICK, trainer={"save_strategy": "steps", "save_steps": 6})
    train(base, examples, tmp_path / "a", lora=LORA, training=saving, seed=1)
    checkpoint = tmp_path / "a.checkpoints" / "checkpoint-6"
    assert checkpoint.is_dir()
    resumed = train(
        base, examples, tmp_path / "b", lora=LORA, training=QUICK, seed=1, resume=checkpoint
    )
    assert len(resumed.losses) == 6
    again = superpose.load(tmp_path / "b")
    assert superpose.load(tmp_path / "a").cosine(again) == pytest.approx(1, abs=1e-4)


@pytest.mark.hard
def test_two_processes_train_the_adapter_of_one(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    """Every row in each step, half of them on each of two processes: the adapter of one."""
    rows, out = question_files["sums"], {name: tmp_path / name for name in ("one", "two")}
    alone = superpose.train(
        tiny_base,
        rows,
        out["one"],
        LoraSettings(rank=2, alpha=16, dropout=0, targets=("q_proj", "v_proj")),
        TrainingSettings(epochs=2, learning_rate=0.02, batch_size=32),
        superpose.TrainingQuestions(max_tokens=64, seed=3),
    )
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--no-python", "superpose", "train", str(tiny_base), str(rows)),
        *("-o", str(out["two"]), "--json"),
        *("--rank", "2", "--alpha", "16", "--dropout", "0", "--targets", "q_proj,v_proj"),
        *("--lr", "0.02", "--seed", "3", "--epochs", "2", "--max-tokens", "64", "--quiet"),
        *("--batch-size", "16"),
    ]
    (tmp_path / "program").mkdir()
    with superpose_on_path(tmp_path / "program") as program:
        there = os.environ | {"PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
        ended = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said = {"one": alone.to_json(), "two": json.loads(ended.stdout)}
    assert [said[name]["steps"] for name in out] == [2, 2]
    one, two = (superpose.load(tmp_path / name) for name in ("one", "two"))
    assert one.cosine(two) == pytest.approx(1, abs=1e-3)
    assert one.norm() == pytest.approx(two.norm(), rel=1e-2)
    for key in ("tokens", "answer_tokens"):
        assert said["one"][key] == said["two"][key]
    assert said["one"]["losses"] == pytest.approx(said["two"]["losses"], rel=1e-3)


def test_what_cannot_be_trained_is_refused_and_leaves_nothing(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    before = base.model.state_dict().keys()
    nowhere = replace(LORA, targets=("q_proj", "vproj"))
    with pytest.raises(BadInput, match=r"no module `vproj`\nDid you mean `v_proj`\? It has "):
        train(base, examples, tmp_path / "a", lora=nowhere)
    with pytest.raises(BadInput, match="PEFT cannot put LoRA into this model"):
        train(base, examples, tmp_path / "a", lora=replace(LORA, targets=("input_layernorm",)))
    with pytest.raises(BadInput, match="no rows"):
        train(base, [], tmp_path / "a")
    wrong = TrainingSettings(trainer={"no_such_argument": 1})
    with pytest.raises(BadInput, match="`no_such_argument` is none of"):
        train(base, examples, tmp_path / "a", lora=LORA, training=wrong)
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputExists):
        train(base, examples, tmp_path / "b", lora=LORA)
    assert not (tmp_path / "a").exists()
    assert base.model.state_dict().keys() == before


def test_a_training_that_diverges_is_an_error_and_leaves_nothing(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    wild = TrainingSettings(
        epochs=2, learning_rate=1e38, batch_size=8, trainer={"max_grad_norm": 0}
    )
    with pytest.raises(BadInput, match="the training diverged"):
        train(base, examples, tmp_path / "a", lora=LORA, training=wild)
    assert not (tmp_path / "a").exists()
    assert math.isfinite(score(base.model, examples).nll)


def test_a_reporter_is_given_the_losses_and_one_that_is_not_here_is_named(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    logs = {"report_to": "none", "logging_strategy": "steps", "save_strategy": "epoch"}
    logged = replace(QUICK, trainer=logs)
    trained = train(base, examples, tmp_path / "a", lora=LORA, training=logged)
    states = sorted((tmp_path / "a.checkpoints").rglob("trainer_state.json"))
    history = json.loads(states[-1].read_text())["log_history"]
    assert history
    assert len(trained.losses) == 12
    absent = replace(QUICK, trainer={"report_to": "comet_ml"})
    with pytest.raises(MissingExtra, match="cannot report to comet_ml"):
        train(base, examples, tmp_path / "b", lora=LORA, training=absent)
    assert not (tmp_path / "b").exists()


def test_an_interrupted_training_leaves_nothing_and_a_clean_base(
    tiny_base: Path, examples: list[Example], tmp_path: Path
) -> None:
    base = load_base(tiny_base)
    before = _tensors(base.model)

    def interrupt(at: int, of: int, loss: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(base, examples, tmp_path / "a", lora=LORA, training=QUICK, progress=interrupt)
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl", ".jsonl"]
    assert all(torch.equal(t, before[n]) for n, t in base.model.state_dict().items())
