"""A study that lets its models answer: every cell keeps which answers are the row's."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from superpose.data.prompt import Prompt
from superpose.errors import BadInput
from superpose.measure.exact_match import normalised
from superpose.report.accuracy import matches_section
from superpose.statistics import wilson
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.spec import StudySpec
from superpose.studies.summary import Summary
from superpose.studies.tables import study_parts

SAID = 4
QUESTIONS = ("ab", "xy", "abc", "hello")


@pytest.fixture
def spec(tiny_base: Path, tmp_path: Path) -> StudySpec:
    """A study of two domains; the base answers the first two questions of each as they have it."""
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    domains = {}
    for kind in ("lower", "upper"):
        asked = [q.upper() if kind == "upper" else q for q in QUESTIONS]
        known = [_said(base, tiny_base, q) for q in asked[:2]]
        rows = zip(asked, (*known, "no", "never"), strict=True)
        files = {
            "train": [{"question": f"{kind} {n}", "answer": f"{n}"} for n in range(4)],
            "test": [{"question": q, "answer": a} for q, a in rows],
        }
        for part, lines in files.items():
            path = tmp_path / f"{kind}-{part}.jsonl"
            path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        domains[kind] = {part: str(tmp_path / f"{kind}-{part}.jsonl") for part in files}
    return StudySpec.model_validate(
        {"name": "tiny", "base": str(tiny_base), "domains": domains, "train_rows": 4,
         "test_rows": 4, "seeds": [0, 1], "prompt": {"max_tokens": 64}, "calibration_rows": 0,
         "exact_match": SAID, "lora": {"rank": 2, "targets": ["q_proj"]},
         "training": {"epochs": 1, "batch_size": 4}}
    )  # fmt: skip


def _said(model: Any, tokenizer: Path, question: str) -> str:
    """What a model says greedily, token by token, without `generate`."""
    prompt = Prompt(transformers.AutoTokenizer.from_pretrained(tokenizer), max_tokens=None)
    ids = list(prompt.question_ids(question))
    for _ in range(SAID):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return str(prompt.tokenizer.decode(ids[-SAID:], skip_special_tokens=True)).strip()


def test_a_study_counts_the_answers_that_its_models_say(
    spec: StudySpec, tiny_base: Path, tmp_path: Path
) -> None:
    study = Study(spec, tmp_path / "run")
    study.run()
    summary = write_results(study.folder, spec, study.cells)
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    found = {(row.method, row.domain): row for row in summary.matches}
    assert found["base", "lower"].share.values == (0.5, 0.5)
    assert (found["base", "union"].share.mean, found["base", "union"].questions) == (0.5, 8)
    assert found["base", "union"].interval == pytest.approx(wilson(4, 8), abs=1e-6)
    assert {method for method, _ in found} == {"base", "single", "sum", "average", "merged"}

    with (study.folder.path / "table.csv").open(encoding="utf-8", newline="") as file:
        table = {(r["seed"], r["method"], r["domain"]): r for r in csv.DictReader(file)}
    merged = next(c for c in study.cells if c.method == "merged" and c.seed == 1)
    model = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(tiny_base),
        study.folder.path / merged.adapter,
    ).eval()
    for name, domain in study.domains.items():
        hits = [
            normalised(_said(model, tiny_base, row.question).split("\n")[0])
            == normalised(row.answer)
            for row in domain.test
        ]
        assert float(table["1", "merged", name]["exact_match"]) == pytest.approx(sum(hits) / 4)
        assert found["merged", name].share.values[1] == pytest.approx(sum(hits) / 4)

    (table_shown,) = (p for p in study_parts(summary) if "Exact" in getattr(p, "title", ""))
    shown = {(row[0].text, row[1].text): row for row in table_shown.rows}
    low, high = wilson(2, 4)
    cell = shown["lower + upper", "lower"][3]
    assert (cell.text, cell.beside) == ("50.0", f"{100 * low:.1f} to {100 * high:.1f}")
    assert matches_section(summary).title == "Exact answers"


def test_a_folder_begun_without_answers_is_another_study(spec: StudySpec, tmp_path: Path) -> None:
    open_only = spec.model_copy(update={"exact_match": 0})
    study = Study(open_only, tmp_path / "run")
    assert "exact_match" not in study.identity()
    study.folder.claim(study.identity())
    with pytest.raises(BadInput, match="differs in exact_match"):
        Study(spec, tmp_path / "run").run()
    with pytest.raises(ValueError, match="exact_match"):
        StudySpec.model_validate(spec.model_dump() | {"exact_match": -1})
