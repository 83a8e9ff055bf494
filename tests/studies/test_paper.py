"""studies/paper.yaml runs to its end under the hub names it has, on a base of GPT-2's shape."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from benchmarks.byte_models import byte_tokenizer

if TYPE_CHECKING:
    from tests.loopback_hub import Hub

FILE = Path(__file__).resolve().parents[2] / "studies" / "paper.yaml"
FEWER = {"train_rows": 16, "test_rows": 2, "calibration_rows": 2, "seeds": [0]}
"""All that the test changes in the file, which as it is takes hours."""
HELD = 16 + 2 + 2 + 10  # some are left over


def _math(n: int) -> dict[str, Any]:
    return {
        "Problem": f"what is {n} + {3 * n} ?",
        "Rationale": f'"explanation : {n} + {3 * n} = {4 * n} . answer : a"',
        "options": f"a ) {4 * n} , b ) {n}",
        "correct": "a",
    }


def _medicine(n: int) -> dict[str, Any]:
    return {"qtype": "symptoms", "Question": f"What is fever {n} ?", "Answer": f"Heat of {n}."}


def _finance(n: int) -> dict[str, Any]:
    return {"question": f"Revenue of {n}?", "answer": f"${7 * n}.", "context": "", "ticker": "A"}


def _table(row: Callable[[int], dict[str, Any]], start: int, count: int) -> bytes:
    """Rows as a parquet file, which is what the hub keeps of every data set."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    rows = [row(n) for n in range(start, start + count)]
    random.Random(0).shuffle(rows)
    write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def shaped_like_gpt2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a random model: GPT-2 Small's twelve layers, 16 wide, bytes as tokens."""
    import torch
    import transformers

    end, folder = "<|endoftext|>", tmp_path_factory.mktemp("gpt2")
    tokenizer = byte_tokenizer(end, bos_token=end, eos_token=end, unk_token=end)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_embd=16, n_head=2, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def paper(hub: Hub, shaped_like_gpt2: dict[str, bytes], tmp_path: Path) -> Path:
    """The study file with fewer rows; its base and its data lie on the hub under their names."""
    split = "data/{}-00000-of-00001.parquet"
    train, test = split.format("train"), split.format("test")
    hub.put("openai-community/gpt2", shaped_like_gpt2)
    tables = {train: _table(_math, 1, HELD), test: _table(_math, 500, 10)}
    hub.put("datasets/regisss/math_qa", tables)
    medicine = {train: _table(_medicine, 1, HELD)}
    hub.put("datasets/keivalya/MedQuad-MedicalQnADataset", medicine)
    finance = {train: _table(_finance, 1, HELD)}
    hub.put("datasets/itzme091/financial-qa-10K-modified", finance)
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    file = tmp_path / "paper.yaml"
    file.write_text(yaml.safe_dump(content | FEWER, sort_keys=False), encoding="utf-8")
    return file


RUN = """
import json, sys
import superpose
file, out = sys.argv[1:]
for dry_run in (True, False, True):
    print(json.dumps(superpose.study(file, out, dry_run=dry_run).to_json()))
"""


def _before_and_after(file: Path, out: Path) -> list[Any]:
    """What it says before, when it runs, and after; in a process of its own.

    Libraries keep the hub's address from their start.
    """
    command = [sys.executable, "-c", RUN, str(file), str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.hard
def test_the_papers_study_runs_to_its_end_under_the_hub_names_that_it_has(
    paper: Path, hub: Hub, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    before, summary, after = _before_and_after(paper, out)
    # Three singles; of four subsets naive, average and tuned sums, and two baselines.
    assert (before["cells"], before["done"]) == (1 + 3 + 4 * 5, 0)
    assert before["whole"]["hours"] > 0
    fetched = " ".join(hub.fetched)
    for name in ("openai-community/gpt2", "regisss", "keivalya", "itzme091"):
        assert name in fetched
    assert [row["domains"] for row in summary["subsets"]] == [
        ["math", "medicine"], ["math", "finance"], ["medicine", "finance"],
        ["math", "medicine", "finance"],
    ]  # fmt: skip
    config = json.loads((out / "adapters/seed-0/single-math/adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["fan_in_fan_out"]) == (4, 64, True)
    assert config["base_model_name_or_path"] == "openai-community/gpt2"
    check = json.loads((out / "cells/seed-0/check.json").read_text())
    assert [adapter["module_count"] for adapter in check["adapters"]] == [36] * 3
    assert after["done"] == after["cells"]
    assert after["left"]["hours"] == 0


def test_the_papers_study_says_offline_what_it_takes_at_most(tmp_path: Path) -> None:
    import superpose

    told = superpose.study(FILE, tmp_path / "run", dry_run=True).to_json()
    assert told["cells"] == 70
    assert told["at_most"] is True
    # Each seed: three singles, as much again for pairs twice over, and all three; then equal steps.
    once = 3 + 3 * 2 + 3 + 3 * 1 + 1
    assert told["whole"]["training_tokens"] == 3 * once * 5600 * 127
    assert told["whole"]["hours"] > 1
