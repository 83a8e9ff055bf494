"""Merge methods in a study: beside its sums, of the same rows, and refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.studies.tiny import Heard, files_of, tiny_spec

import superpose
from superpose import load
from superpose.compose import RegMean, RegMeanTuned, merge
from superpose.errors import BadInput
from superpose.measure.evaluate import score
from superpose.measure.inputs import measure_inputs
from superpose.model import SuperposedModel
from superpose.studies.cells import StudyCell
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.verbs.settings import MergeQuestions


def test_a_study_has_merge_methods_beside_its_sums(
    copied: Study, tiny_base: Path, tmp_path: Path
) -> None:
    """A folder that was begun without them is gone on with, and each row is the merged one's."""
    spec = copied.spec.model_copy(update={"methods": ("regmean", "ties")})
    study = Study(spec, copied.folder.path)
    before = files_of(study.folder.path)
    study.run()
    after = files_of(study.folder.path)
    assert {n: x for n, x in after.items() if n in before and n.startswith("cells")} == {
        n: x for n, x in before.items() if n.startswith("cells")
    }
    summary = write_results(study.folder, spec, study.cells)
    assert {row.method for row in summary.methods} >= {"sum", "regmean", "ties", "merged"}
    names = tuple(spec.domains)
    rows, statistics = study.calibration_examples, []
    parts = [load(study.adapter_path(name, 0)) for name in names]
    for name in names:
        statistics.append(measure_inputs(study.base.model, parts[0].modules, rows[name]))
    merged = merge(parts, None, RegMean(tuple(statistics)))
    with SuperposedModel(study.base.model, [merged]) as model, model.at([1.0]) as at:
        right = score(at, study.test_examples[names[0]])
    found = study.folder.read_scores(StudyCell("regmean", names, 0))[names[0]]
    assert found.row_nll == pytest.approx(right.row_nll, abs=1e-4)


def test_a_study_has_the_regression_with_tuned_weights_on_top(
    copied: Study,
    tmp_path: Path,
) -> None:
    """As `superpose add --method regmean-tuned` makes it of the same rows at the seed."""
    heard = Heard()
    spec = copied.spec.model_copy(update={"methods": ("regmean-tuned",)})
    study = Study(spec, copied.folder.path, reporter=heard)
    study.run()
    assert heard.work == pytest.approx(heard.left, rel=0.02)
    names = tuple(spec.domains)
    files = []
    for name, domain in study.domains.items():
        files.append(tmp_path / f"{name}-calibration.jsonl")
        rows = ({"question": r.question, "answer": r.answer} for r in domain.calibration)
        files[-1].write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    merged = superpose.merge(
        [str(study.adapter_path(name, 1)) for name in names],
        method=RegMeanTuned(),
        data=[str(file) for file in files],
        base=spec.base,
        questions=MergeQuestions(seed=1, rows=None, max_tokens=spec.prompt.max_tokens),
    )
    with SuperposedModel(study.base.model, [merged]) as model, model.at([1.0]) as at:
        right = score(at, study.test_examples[names[0]])
    found = study.folder.read_scores(StudyCell("regmean-tuned", names, 1))[names[0]]
    assert found.row_nll == pytest.approx(right.row_nll, abs=1e-4)
    untuned = study.folder.read_scores(StudyCell("sum", names, 1))[names[0]]
    assert found.row_nll != pytest.approx(untuned.row_nll, abs=1e-3)


def test_too_few_rows_for_a_method_are_said_before_anything_is_trained(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    spec = tiny_spec(tiny_base, question_files, methods=["regmean-tuned"], calibration_rows=3)
    with pytest.raises(BadInput, match=r"domains\.sums: `regmean-tuned` needs 4 calibration rows"):
        Study(spec, tmp_path / "run").run()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ["tis"]}, "`tis` is none of equal-norm, ties"),
        ({"methods": ["average"]}, "`average` stands in every study; beside it may stand equal-"),
        ({"methods": ["tuned"]}, "`tuned` stands in every study with calibration rows"),
        ({"methods": ["ties", "ties"]}, "a method stands twice"),
        ({"methods": ["ssr"], "calibration_rows": 0}, "`ssr` needs calibration_rows"),
    ],
)
def test_a_method_that_cannot_be_is_refused(
    changes: dict[str, Any], said: str, tiny_base: Path, question_files: dict[str, Path]
) -> None:
    with pytest.raises(ValueError, match=said):
        tiny_spec(tiny_base, question_files, **changes)
