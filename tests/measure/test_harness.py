"""lm-evaluation-harness, asked the same questions, counts as many right answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from superpose.data.domain import rows_of
from superpose.data.prompt import Prompt
from superpose.measure.choice_score import choice_score

SIZES = (2, 3, 5)


def _records(count: int) -> list[dict[str, Any]]:
    """Questions with unlike numbers of choices of unlike lengths, one the start of another."""
    rng = np.random.default_rng(0)
    records = []
    for n in range(count):
        size = SIZES[n % len(SIZES)]
        choices = [str(number) for number in rng.choice(400, size - 1, replace=False)]
        choices.insert(int(rng.integers(size)), f"{choices[0]}7")
        answer = choices[int(rng.integers(size))]
        records.append({"question": f"{n} + {n}?", "answer": answer, "choices": choices})
    return records


def _task(name: str, file: Path, end: str) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(file)},
            "cache_dir": str(file.parent / "cache"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": lambda doc: [choice + end for choice in doc["choices"]],
        "doc_to_target": lambda doc: doc["choices"].index(doc["answer"]),
        "metric_list": [{"metric": metric} for metric in ("acc", "acc_norm")],
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the harness's own
def test_the_harness_agrees_on_every_accuracy(tiny_base: Path, tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    records, file = _records(60), tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_base)
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    prompt = Prompt(tokenizer, max_tokens=None)
    questions = [q for row in rows_of(records) if (q := prompt.encode_choices(row))]
    ours = choice_score(model, questions)
    judged = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8),
        tasks=[_task("plain", file, ""), _task("ended", file, tokenizer.eos_token)],
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),  # reading its own takes seconds
    )["results"]
    assert judged["plain"]["acc,none"] == pytest.approx(ours.acc, abs=1e-9)
    assert judged["plain"]["acc_norm,none"] == pytest.approx(ours.acc_norm, abs=1e-9)
    assert judged["ended"]["acc,none"] == pytest.approx(ours.accuracy, abs=1e-9)
    assert ours.acc != ours.accuracy  # the end-of-text tells `3` from the beginning of `37`
