"""A whole study on a tiny model: resumed, refused, and its table checked against its cells."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from tests.studies.recomputed import Rows, change, deviations
from tests.studies.tiny import Heard, files_of, tiny_spec

import superpose
from superpose.errors import BadInput
from superpose.measure.evaluate import score
from superpose.model import SuperposedModel
from superpose.studies.cells import StudyCell, cell_seed, cells_of_seed, domain_subsets
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.spec import load_spec
from superpose.studies.summary import Summary
from superpose.training.settings import LoraSettings


def test_a_study_that_was_stopped_goes_on_where_it_stood(finished: Study, tmp_path: Path) -> None:
    spec = finished.spec
    with pytest.raises(KeyboardInterrupt):
        Study(spec, tmp_path / "run", reporter=Heard(stop_after=5)).run()
    before = files_of(tmp_path / "run")
    rest = Heard()
    study = Study(spec, tmp_path / "run", reporter=rest)
    study.run()
    assert 0 < rest.left < rest.total
    assert rest.work == pytest.approx(rest.left, rel=0.02)
    after = files_of(tmp_path / "run")
    assert {name: after[name] for name in before} == before
    again = Heard()
    Study(spec, tmp_path / "run", reporter=again).run()
    assert again.finished == []
    assert again.left == 0

    for cell in study.cells:
        assert study.folder.read_scores(cell) == finished.folder.read_scores(cell)


def test_the_table_and_the_summary_are_what_the_cells_say(copied: Study) -> None:
    study = copied
    summary = write_results(study.folder, study.spec, study.cells)
    assert json.loads((study.folder.path / "summary.json").read_text()) == summary.to_json()
    with (study.folder.path / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    # The base once; then two seeds of two singles, three sums and a baseline; unions for these.
    assert len(table) == 2 + 2 * (2 * 2 + 4 * 3)

    pair = ("sums", "coins")
    scores = {m: study.folder.read_scores(StudyCell(m, pair, 1)) for m in ("sum", "merged")}
    nats = {m: math.fsum(n for s in by.values() for n in s.row_nll) for m, by in scores.items()}
    tokens = sum(score.tokens for score in scores["sum"].values())
    wanted = 100 * (math.exp((nats["sum"] - nats["merged"]) / tokens) - 1)
    row = next(r for r in table if (r["seed"], r["method"], r["domain"]) == ("1", "sum", "union"))
    assert float(row["dppl_percent"]) == pytest.approx(wanted, abs=1e-3)
    assert int(row["tokens"]) == tokens
    assert float(row["perplexity_low"]) <= float(row["perplexity"]) <= float(row["perplexity_high"])
    union = summary.subsets[0].measured[-1]
    assert union.dppl_merged.values[1] == pytest.approx(wanted, abs=1e-3)
    assert [point.seed for point in summary.points] == [0, 1]
    assert summary.correlations[0].figure == "rms_cosine"
    assert summary.correlations[0].n == 2
    assert any("prove nothing" in remark for remark in summary.remarks)


def test_every_figure_and_interval_follows_from_the_rows_that_a_study_keeps(
    finished: Study,
) -> None:
    """By a script of NumPy alone, which knows nothing of superpose."""
    run = finished.folder.path
    found = dict(deviations(run))
    assert len(found) > 50
    assert max(found.values()) < 2e-5
    summary = Summary.from_json(json.loads((run / "summary.json").read_text()))
    row = summary.subsets[0].measured[-1]
    ends = change(Rows(run / "rows.npz"), ("sum", "merged"), "sums+coins", "union")["ends"]
    assert row.dppl_merged.ends == pytest.approx(tuple(ends), abs=1e-3)


def test_the_sum_is_the_sum_of_the_single_adapters(finished: Study, tmp_path: Path) -> None:
    """The cell of a sum scores what a written sum scores."""
    study = finished
    parts = [superpose.load(study.adapter_path(name, 0)) for name in study.spec.domains]
    superpose.save(sum(parts), tmp_path / "sum")
    with (
        SuperposedModel(study.base.model, [superpose.load(tmp_path / "sum")]) as model,
        model.at([1.0]) as weighted,
    ):
        written = score(weighted, study.test_examples["sums"])
    cell = study.folder.read_scores(StudyCell("sum", tuple(study.spec.domains), 0))["sums"]
    assert written.row_nll == pytest.approx(cell.row_nll, rel=1e-4)


def test_a_folder_of_another_study_is_refused_and_more_seeds_are_welcome(
    copied: Study, tmp_path: Path
) -> None:
    before = files_of(tmp_path / "run")
    other = copied.spec.model_copy(update={"lora": LoraSettings(rank=3)})
    with pytest.raises(BadInput, match=r"another study; it differs in .*lora\.rank"):
        Study(other, tmp_path / "run").run()
    assert files_of(tmp_path / "run") == before
    heard = Heard()
    more = copied.spec.model_copy(update={"seeds": (0, 1, 2)})
    Study(more, tmp_path / "run", reporter=heard).run()
    assert heard.finished
    assert all("seed 2" in activity for activity in heard.finished)
    with pytest.raises(BadInput, match="holds no study"):
        Study(other, tmp_path).run()


def test_only_one_process_runs_a_study(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    study = Study(tiny_spec(tiny_base, question_files, seeds=[0]), tmp_path / "run")
    study.folder.claim(study.identity())
    with study.folder.locked(), pytest.raises(BadInput, match="another process is running"):
        Study(study.spec, tmp_path / "run").run()
    assert not list((tmp_path / "run").glob("cells/*"))


def test_a_base_folder_is_found_beside_the_study_file(
    tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "base").symlink_to(tiny_base)
    spec = tiny_spec(Path("base"), question_files)
    assert Study(spec, tmp_path / "run", relative_to=tmp_path).base.name.endswith("base")


def test_answers_that_are_cut_are_counted_and_told(finished: Study) -> None:
    study = finished
    summary = Summary.from_json(study.folder.read("summary.json"))
    for name, examples in study.test_examples.items():
        cut = sum(study.base.tokenizer.eos_token_id not in e.answer for e in examples)
        assert summary.domains[name].cut_test_rows == cut
    assert any("training answers are cut" in remark for remark in summary.remarks)


def test_a_damaged_cell_is_named(copied: Study) -> None:
    (copied.folder.path / "cells" / "base.json").write_text("{")
    with pytest.raises(BadInput, match=r"base\.json: this file of the study cannot be read"):
        write_results(copied.folder, copied.spec, copied.cells)


def test_no_two_trainings_of_a_study_share_their_seed() -> None:
    names = ["a", "b", "c"]
    cells = [cell for seed in (0, 1) for cell in cells_of_seed(names, seed) if cell.trained]
    assert len({cell_seed(cell.seed or 0, cell.name) for cell in cells}) == len(cells) == 14
    assert domain_subsets(names) == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]


GOOD = """
name: good
domains:
  a: {data: a.jsonl}
  b: {train: b1.jsonl, test: b2.jsonl}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "sead: 3", r"unknown key `sead`\n.*(split_seed|seeds|Did you mean|Known)"),
        (GOOD + "seeds: []", "seeds: too few: 1 at least are needed"),
        (GOOD + "lora: {rnk: 3}", r"unknown key `lora\.rnk`\nDid you mean `rank`"),
        (GOOD + "  c: {date: a.jsonl}", r"unknown key `domains\.c\.date`\nDid you mean `data`"),
        (GOOD + "lora: {rank: 0}", r"lora\.rank: Input should be greater than or equal to 1"),
        (GOOD + "seeds: [1, 1]", "a seed stands twice"),
        (GOOD + "  a+b: {data: c.jsonl}", "cannot be named 'a\\+b'"),
        (GOOD + "  c: {train: c.jsonl}", "`train` and `test` go together"),
        (GOOD + "  c: {}", "give either `data`"),
        *(
            (GOOD + f'  "c{odd}d": {{data: c.jsonl}}', r"a domain cannot be named 'c.*d'")
            for odd in (r"\0", r"\n", r"\e[31m", r"\ud800", r"\u202e", r"\u0085")
        ),
        (GOOD + f"  {'c' * 190}: {{data: c.jsonl}}", r"names are too long: .* 2\d\d bytes of at"),
        (GOOD.replace("good", "g" * 300), "name: longer than the 200 bytes"),
        (GOOD + "split_seed: 1" + "0" * 30, r"split_seed: Input should be less than 9223"),
        (GOOD + "seeds: [-1" + "0" * 30 + "]", r"seeds\.0: Input should be greater than -9223"),
        (GOOD + "split_seed: true", "split_seed: true is no number"),
        (GOOD + "seeds: [1, false]", r"seeds\.1: false is no number"),
        (GOOD + "test_rows: true", "test_rows: true is no number"),
        (GOOD + "lora: {rank: true}", r"lora\.rank: true is no number"),
        (GOOD + "training: {epochs: true}", r"training\.epochs: true is no number"),
        ("name: x\ndomains: [", "line 2: not YAML"),
        ("- a\n- b", "holds keys and values"),
        (GOOD + "seeds: [0]\nseeds: [1]", r"line 7: not YAML: the key `seeds` stands twice"),
        (GOOD + "training: {epochs: .inf}", r"training\.epochs: Input should be a finite number"),
        (GOOD + "prompt: {template: 'Q: A:'}", r"prompt\.template: String should match"),
        (GOOD.replace("good", "../evil"), "name: '../evil' is no name of a study"),
        ("[" * 5000, "not YAML of a sensible depth|not YAML"),
        ("", "holds keys and values"),
        (GOOD + "#" * 200_000, "larger than 200,000 bytes; is it a study file"),
    ],
)
def test_a_bad_study_file_is_refused_by_key_or_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        load_spec(path)


def test_the_study_files_that_ship_are_good() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [*root.glob("studies/*.yaml"), root / "src/superpose/studies/demo.yaml"]
    assert {load_spec(path).name for path in files} >= {"paper", "smollm2", "demo"}
