"""The tournament's measured points: split once, resumable, and what PEFT would measure."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.prediction import __main__ as command, measure
from benchmarks.prediction.adapters import Training, train_missing, trainings
from benchmarks.prediction.domains import SOURCES, Source
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import losses, measured
from benchmarks.prediction.partners import random_partner
from benchmarks.prediction.points import Point, points
from benchmarks.prediction.settings import Tournament

import superpose
from superpose.errors import BadInput
from superpose.interference import check
from superpose.measure.evaluate import score
from superpose.model import load_base
from superpose.training.settings import LoraSettings, TrainingSettings

TINY = {
    "sums": Source("arithmetic.jsonl", "what is"),
    "halves": Source("arithmetic.jsonl", "half of", longer_test=2),
    "coins": Source("coins.jsonl", tests="coins.test.jsonl"),
}


def write_rows(path: Path, rows: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"question": q, "answer": a}) for q, a in rows]
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    sums = [(f"What is {a} plus 3?", f"It is {a + 3}.") for a in range(20)]
    halves = [(f"Half of {2 * a}?", f"That is {a}.") for a in range(20)]
    write_rows(folder / "arithmetic.jsonl", [*sums, *halves])
    coins = [(f"How many cents are {n} dimes?", f"{10 * n} cents.") for n in range(20)]
    write_rows(folder / "coins.jsonl", coins)
    # Two of its questions stand in the training file as well.
    more = [(f"How many cents are {n} dimes?", f"{10 * n} cents.") for n in range(18, 24)]
    write_rows(folder / "coins.test.jsonl", more)
    return folder


@pytest.fixture(scope="module")
def tournament(tiny_base: Path) -> Tournament:
    return Tournament(
        base=str(tiny_base),
        train_rows=8,
        calibration_rows=4,
        test_rows=3,
        seeds=(0, 1),
        triples=1,
        quadruples=1,
        # Steps so long that a tiny random model shows what was learned.
        lora=LoraSettings(rank=2, alpha=16, dropout=0, targets=("q_proj", "down_proj")),
        training=TrainingSettings(learning_rate=3e-2, batch_size=2),
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, data: Path, tournament: Tournament) -> Field:
    """A tournament of three domains and two seeds, trained and measured."""
    out = tmp_path_factory.mktemp("tournament") / "out"
    field = Field(out, data=data, tournament=tournament, sources=TINY)
    with field.claimed():
        train_missing(field)
        measure.measure_missing(field)
    return field


def files(field: Field) -> dict[str, float]:
    found = field.folder.path.rglob("*")
    return {str(path): path.stat().st_mtime_ns for path in found if path.name != ".lock"}


def test_there_are_at_least_eight_domains_and_150_sums_on_real_data() -> None:
    assert len(SOURCES) >= 8
    found = points(list(SOURCES), Tournament())
    sums = [point for point in found if point.condition == "main" and len(point.domains) > 1]
    assert len(sums) >= 150
    assert len(set(found)) == len(found) == len({point.file for point in found})
    sizes = Counter((point.seed, len(point.domains)) for point in sums)
    every_pair = math.comb(len(SOURCES), 2)
    assert all(sizes[seed, 2] == every_pair for seed in Tournament().seeds)


def test_seeds_draw_triples_of_their_own_and_the_same_again() -> None:
    def triples(seed: int) -> set[tuple[str, ...]]:
        found = points(list(SOURCES), Tournament(seeds=(seed,)))
        return {p.domains for p in found if p.condition == "main" and len(p.domains) == 3}

    assert triples(0) == triples(0) != triples(1)


def test_no_question_stands_in_two_parts_of_a_split(played: Field) -> None:
    for name, split in played.splits.items():
        parts = [{row.question for row in rows} for rows in split.parts().values()]
        assert [len(part) for part in parts] == [8, 4, 6 if name == "halves" else 3]
        assert len(set.union(*parts)) == sum(map(len, parts))


def test_a_domain_can_be_the_questions_of_a_file_that_begin_alike(played: Field) -> None:
    assert all(row.question.startswith("Half") for row in played.splits["halves"].train)
    assert all(row.question.startswith("What is") for row in played.splits["sums"].test)


def test_every_adapter_is_trained_and_every_point_measured(played: Field) -> None:
    assert all((played.folder.path / each.file).is_dir() for each in trainings(played))
    found = losses(played.folder.path)
    assert set(found) == set(points(played.names, played.tournament))
    assert all(set(scores) == set(point.domains) for point, scores in found.items())


def test_a_row_of_every_member_of_every_sum_is_kept_with_its_own_loss(played: Field) -> None:
    rows = list(measured(losses(played.folder.path)))
    wanted = [p for p in points(played.names, played.tournament) if p.condition != "base"]
    assert len(rows) == sum(len(p.domains) for p in wanted if len(p.domains) > 1)
    for row in rows:
        assert len(row.own.row_nll) == len(row.sum.row_nll)
        assert row.own.row_tokens == row.sum.row_tokens
        assert row.interference == row.sum.nll - row.own.nll != 0.0


def peft_losses(field: Field, domains: tuple[str, ...], seed: int) -> dict[str, float]:
    """Each domain's loss with its adapters loaded and made active together by PEFT."""
    import peft
    import transformers

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(field.tournament.base).eval()
    for domain in domains:
        path = str(field.folder.path / Training("main", seed, domain).file)
        if isinstance(model, peft.PeftModel):
            model.load_adapter(path, adapter_name=domain)
        else:
            model = peft.PeftModel.from_pretrained(model, path, adapter_name=domain)
    model.base_model.set_adapter(list(domains))
    return {domain: score(model, field.examples(domain, "test")).nll for domain in domains}


@pytest.mark.parametrize("domains", [("halves",), ("sums", "coins"), ("sums", "halves", "coins")])
def test_a_sum_measures_what_peft_measures_with_the_same_adapters_active(
    played: Field, domains: tuple[str, ...]
) -> None:
    found = losses(played.folder.path)[Point("main", 1, domains)]
    assert {domain: each.nll for domain, each in found.items()} == pytest.approx(
        peft_losses(played, domains, 1), abs=1e-5
    )


def test_an_adapter_lowers_the_loss_of_its_domain(played: Field) -> None:
    found = losses(played.folder.path)
    base = found[Point("base", 0, played.names)]
    for domain in played.names:
        assert found[Point("main", 0, (domain,))][domain].nll < base[domain].nll


def test_only_the_same_a_adapters_have_a_start_in_common(played: Field) -> None:
    def shared(condition: str) -> set[bool]:
        paths = [played.folder.path / Training(condition, 0, n).file for n in played.names]
        return {pair.shared_a for pair in check([superpose.load(path) for path in paths]).pairs}

    assert shared("main") == {False}
    assert shared("calibration") == {False}
    seeds = {t.training_seed for t in trainings(played) if t.condition == "same-a"}
    assert len(seeds) == 1
    assert len({t.training_seed for t in trainings(played)}) == len(trainings(played)) - 2


def test_a_random_partner_is_as_large_as_the_trained_one_in_every_module(played: Field) -> None:
    trained = superpose.load(played.folder.path / Training("main", 0, "sums").file)
    partner = random_partner(trained, 0)
    assert set(partner) == set(trained)
    for name, delta in trained.items():
        alone, other = (replace(trained, deltas={name: d}) for d in (delta, partner[name]))
        assert other.norm() == pytest.approx(alone.norm(), rel=1e-6)
        assert partner[name].rank == delta.rank
    assert abs(superpose.cosine(trained, partner)) < 0.2


def test_random_partners_differ_by_name_and_seed_and_are_the_same_again(played: Field) -> None:
    sums = superpose.load(played.folder.path / Training("main", 0, "sums").file)
    coins = replace(sums, name="coins")
    drawn = [random_partner(*each) for each in [(sums, 0), (sums, 0), (sums, 1), (coins, 0)]]
    firsts = [np.asarray(next(iter(each.values())).terms[0].A) for each in drawn]
    assert np.array_equal(firsts[0], firsts[1])
    assert not np.array_equal(firsts[0], firsts[2])
    assert not np.array_equal(firsts[0], firsts[3])


def test_a_random_point_keeps_each_domains_own_adapter(played: Field) -> None:
    """The own adapter plus the other one's random partner, added by superpose itself."""
    names = ("sums", "coins")
    own = {
        n: replace(superpose.load(played.folder.path / Training("main", 0, n).file), name=n)
        for n in names
    }
    both = own["sums"] + random_partner(own["coins"], 0)
    base = load_base(played.tournament.base)
    with superpose.model.SuperposedModel(base.model, [both]) as model, model.at([1.0]) as at:
        expected = score(at, played.examples("sums", "test")).nll
    found = losses(played.folder.path)[Point("random", 0, names)]["sums"].nll
    assert found == pytest.approx(expected, abs=1e-5)


def test_what_is_finished_is_not_done_again(played: Field) -> None:
    before = files(played)
    with played.claimed():
        train_missing(played)
        measure.measure_missing(played)
    assert files(played) == before


def test_a_point_that_was_lost_is_measured_again_and_is_the_same(played: Field) -> None:
    point = Point("main", 0, ("sums", "coins"))
    path = played.folder.path / point.file
    before = losses(played.folder.path)[point]
    path.unlink()
    with played.claimed():
        measure.measure_missing(played)
    after = losses(played.folder.path)[point]
    for domain in point.domains:
        assert after[domain].row_nll == pytest.approx(before[domain].row_nll, abs=1e-5)


@pytest.mark.hard
def test_two_processes_measure_the_same_as_one(played: Field) -> None:
    lost = [Point("main", 1, ("sums", "coins")), Point("random", 0, ("sums", "halves"))]
    before = losses(played.folder.path)
    for point in lost:
        (played.folder.path / point.file).unlink()
    with played.claimed():
        measure.measure_missing(played, jobs=2)
    after = losses(played.folder.path)
    assert set(after) == set(before)
    for point in lost:
        for domain in point.domains:
            assert after[point][domain].row_nll == pytest.approx(
                before[point][domain].row_nll, abs=1e-5
            )


def test_a_damaged_measurement_is_named(played: Field, tmp_path: Path) -> None:
    file = tmp_path / "cells" / "main" / "seed-0" / "sums.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"condition": "main"}')
    with pytest.raises(BadInput, match=r"sums\.json"):
        losses(tmp_path)


def test_a_folder_of_another_tournament_is_refused(played: Field, data: Path) -> None:
    other = replace(played.tournament, calibration_rows=5)
    field = Field(played.folder.path, data=data, tournament=other, sources=TINY)
    with pytest.raises(BadInput, match="another study"), field.claimed():
        pytest.fail("it was taken for its own")


def test_measuring_before_training_says_what_to_run(
    data: Path, tournament: Tournament, tmp_path: Path
) -> None:
    field = Field(tmp_path / "out", data=data, tournament=tournament, sources=TINY)
    with field.claimed(), pytest.raises(BadInput, match="not trained yet") as raised:
        measure.measure_missing(field)
    assert "prediction train" in str(raised.value)


def test_the_command_stops_on_ctrl_c_with_nothing_half_written(
    played: Field,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(played)
    (played.folder.path / Point("main", 0, ("sums", "coins")).file).unlink()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Field", lambda *_, **__: played)
    with monkeypatch.context() as patched:
        patched.setattr(measure, "score", interrupted)
        assert command.main(["measure", "--out", str(tmp_path)]) == 130
    assert set(files(played)) < set(before)
    assert command.main(["measure", "--out", str(tmp_path)]) == 0
    assert set(files(played)) == set(before)
    said = capsys.readouterr()
    assert "goes on" in said.err
    assert "[1/1] measured main, seed 0: sums+coins" in said.out


def test_the_command_tells_what_is_wrong_with_the_data(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    data: Path,
    tournament: Tournament,
) -> None:
    field = Field(tmp_path / "out", data=tmp_path, tournament=tournament, sources=TINY)
    monkeypatch.setattr(command, "Field", lambda *_, **__: field)
    assert command.main(["train", "--out", str(tmp_path)]) == 2
    assert "arithmetic.jsonl" in capsys.readouterr().err
