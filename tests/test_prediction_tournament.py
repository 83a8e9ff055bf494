"""The tournament's judging: calibrations that come back, figures that can be trusted, a page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
from benchmarks import readme
from benchmarks.prediction import __main__ as command, calibrate, page as pages, tournament
from benchmarks.prediction.adapters import train_missing
from benchmarks.prediction.brief import COMMAND, brief
from benchmarks.prediction.calibrate import beside, calibrate_missing, calibratings
from benchmarks.prediction.calibration_file import read_calibration
from benchmarks.prediction.domains import Source
from benchmarks.prediction.field import Field
from benchmarks.prediction.judging import Judged, promised
from benchmarks.prediction.measure import content, measure_missing
from benchmarks.prediction.measured import Measured, losses, measured
from benchmarks.prediction.points import Point, points
from benchmarks.prediction.predict import costs, predicted
from benchmarks.prediction.relation import (
    Points,
    ceiling,
    left_out_error,
    permutation_p,
    relation,
    within_domains,
)
from benchmarks.prediction.settings import Tournament
from benchmarks.prediction.weigh import METHODS, Weighting, weigh_missing
from benchmarks.prediction.weighed import weighed, widened
from tests.small_field import PLAYED

import superpose
from superpose.errors import BadInput
from superpose.landscape.calibrated import PARTS
from superpose.landscape.predictors import DATA_AWARE, PREDICTORS
from superpose.measure.calibrate import measure
from superpose.measure.evaluate import Score, score
from superpose.model import SuperposedModel
from superpose.studies.folder import StudyFolder
from superpose.training.settings import LoraSettings, TrainingSettings

pytestmark = pytest.mark.slow  # a tournament is trained, measured and calibrated

TINY = {
    "sums": Source("arithmetic.jsonl", "what is"),
    "halves": Source("arithmetic.jsonl", "half of"),
    "coins": Source("coins.jsonl"),
}


@pytest.fixture(scope="module", params=PLAYED)
def played(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Field:
    """A tournament of three domains and one seed: trained, measured and calibrated."""
    data = tmp_path_factory.mktemp("data")
    rows = {
        "arithmetic.jsonl": [
            *((f"What is {a} plus 3?", f"It is {a + 3}.") for a in range(20)),
            *((f"Half of {2 * a}?", f"That is {a}.") for a in range(20)),
        ],
        "coins.jsonl": [(f"How many cents are {n} dimes?", f"{10 * n} cents.") for n in range(20)],
    }
    for name, pairs in rows.items():
        lines = [json.dumps({"question": q, "answer": a}) for q, a in pairs]
        (data / name).write_text("\n".join(lines), encoding="utf-8")
    tiny = Tournament(
        base=str(tiny_base),
        train_rows=8,
        calibration_rows=4,
        test_rows=3,
        seeds=(0,),
        triples=1,
        quadruples=0,
        lora=LoraSettings(rank=2, alpha=16, dropout=0, targets=("q_proj", "down_proj")),
        training=TrainingSettings(learning_rate=3e-2, batch_size=2),
    )
    field = Field(
        tmp_path_factory.mktemp("tournament") / "out", data=data, tournament=tiny, sources=TINY
    )
    with field.claimed():
        train_missing(field)
        measure_missing(field)
        calibrate_missing(field)
    return field


def test_every_condition_is_calibrated_and_nothing_twice(played: Field) -> None:
    wanted = calibratings(played)
    assert {each.condition for each in wanted if each.scattered} == {"main"}
    assert {(each.condition, each.domain) for each in wanted} == {
        (condition, name)
        for condition in ("main", "same-a", "random", "calibration")
        for name in played.names
    }
    files = [played.folder.path / each.file for each in wanted]
    before = [file.stat().st_mtime_ns for file in files]
    with played.claimed():
        calibrate_missing(played)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_calibration_comes_back_as_it_was_measured(played: Field) -> None:
    each = next(c for c in calibratings(played) if c.condition == "random" and c.domain == "coins")
    found = read_calibration(played, each.file, replace(each, scattered=True).file)
    adapters = beside(played, "random", 0, "coins")
    assert [a.name.startswith("random") for a in adapters] == [True, True, False]
    rows = played.examples("coins", "calibration")[:2]  # a control has half of them
    with SuperposedModel(played.base.model, adapters) as model:
        again = measure(model, rows, list(found.sample.points[:3]))
    np.testing.assert_allclose(found.sample.nll[:3], again.nll, rtol=1e-5)
    np.testing.assert_allclose(found.sample.slope[:3], again.slope, rtol=1e-3, atol=1e-6)
    assert np.isnan(found.sample.slope[3:]).all()
    assert found.scattered is None


def test_each_part_of_a_calibration_is_paid_for_apart(played: Field) -> None:
    spent = costs(played)
    assert set(spent) == set(PARTS) - {"sums", "merges"}  # of what is asked, not of a calibration
    tokens = {part: cost.tokens for part, cost in spent.items()}
    assert tokens["inner"] == tokens["slope"] == tokens["values"]
    assert tokens["slopes"] == 2 * tokens["slope"]
    assert 2 * tokens["pairs"] == tokens["slope"] + tokens["slopes"]
    lambda_space = tokens["slope"] + tokens["slopes"] + tokens["values"]
    assert tokens["scattered"] == pytest.approx(lambda_space, rel=0.4)
    assert all(cost.seconds > 0 for cost in spent.values())


def test_every_measured_point_has_every_figure(played: Field) -> None:
    found = list(predicted(played))
    assert len(found) == len(list(measured(losses(played.folder.path))))
    for each in found:
        missing = {name for name, figure in each.figures.items() if math.isnan(figure)}
        missing -= {"sum evaluated", "MAP, one merge"}
        condition = each.row.point.condition
        lacking = {"main": set(), "random": {"MAP", "after gradient distance"}}
        assert missing == lacking.get(condition, {"MAP"})
        assert list(each.figures) == [predictor.name for predictor in PREDICTORS]


def test_predictions_in_nats_come_near_what_test_rows_show(played: Field) -> None:
    """Calibration and test rows are of one kind, so their interference is alike."""
    found = [each for each in predicted(played) if each.row.point.condition == "main"]
    values = np.array([each.row.interference for each in found])
    for name in ("pairs evaluated", "lambda space"):
        figures = np.array([each.figures[name] for each in found])
        assert np.abs(figures - values).mean() < np.abs(values).mean()


def test_predictors_are_asked_before_calibrating_for_what_weights_tell(
    played: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmarks.prediction.predict.Calibrating.file", property(lambda _: "nowhere.json")
    )
    each = next(predicted(played))
    aware = {predictor.name for predictor in DATA_AWARE}
    assert {name for name, figure in each.figures.items() if math.isnan(figure)} == aware


def test_a_damaged_calibration_is_named(played: Field) -> None:
    played.folder.write("calibration/main/seed-9/sums.json", {"sample": 1})
    try:
        with pytest.raises(BadInput, match=r"seed-9.sums\.json"):
            costs(played)
    finally:
        (played.folder.path / "calibration/main/seed-9/sums.json").unlink()


def test_judging_writes_the_record_and_its_page(
    played: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tournament, "RECORD", tmp_path / "prediction.json")
    monkeypatch.setattr(pages, "PAGE", tmp_path / "prediction.md")
    ours = readme.README
    before = ours.read_bytes()
    copy(ours, tmp_path / "README.md")
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(command, "Field", lambda *_, **__: played)
    with played.folder.locked():  # Another process may be measuring meanwhile.
        assert command.main(["judge", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "prediction.json").read_text(encoding="utf-8"))
    assert record["groups"]["all"]["n"] == 9
    assert record["groups"]["pairs"]["n"] == record["groups"]["random"]["n"] == 6
    assert len(record["points"]) == 9 + 3 * 6
    text = (tmp_path / "prediction.md").read_text(encoding="utf-8")
    assert text == pages.page(record)
    assert command.main(["again"]) == 0
    assert json.loads((tmp_path / "prediction.json").read_text(encoding="utf-8")) == record
    assert readme.block_of(COMMAND) == brief(record)
    assert ours.read_bytes() == before
    unmeasured = {"sum evaluated", "MAP, one merge"}
    for predictor in PREDICTORS:
        if predictor.name not in unmeasured:
            assert text.count(f"| {predictor.name} |") >= 4
    assert "lambda space" in text
    assert "nan" not in text.lower().replace("finance", "")


def test_a_page_of_nothing_says_what_to_run(
    played: Field,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tournament, "RECORD", tmp_path / "prediction.json")
    monkeypatch.setattr(command, "Field", lambda *_, **__: played)
    assert command.main(["page"]) == 2
    assert "prediction judge" in capsys.readouterr().err


def test_judging_an_empty_folder_says_what_to_run(
    played: Field, tmp_path: Path, tiny_base: Path
) -> None:
    field = Field(tmp_path, tournament=played.tournament, sources=TINY)
    with pytest.raises(BadInput, match="no sum was measured") as raised:
        tournament.record(field)
    assert "prediction measure" in str(raised.value)


def test_a_calibration_that_was_stopped_leaves_nothing(
    played: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = calibratings(played)[0]
    path = played.folder.path / each.file
    content = path.read_bytes()
    path.unlink()

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrate, "measure", stopped)
    with played.claimed(), pytest.raises(KeyboardInterrupt):
        calibrate_missing(played)
    assert not path.exists()
    path.write_bytes(content)


# Figures, on points that are made up.

NAMES = ("a", "b", "c", "d", "e", "f")


def made_up(seed: int, *, seeds: int = 3, rows: int = 40, noise: float = 0.0) -> Points:
    """All directed pairs of six domains: the member's and the other's effect, and their own."""
    rng = np.random.default_rng(seed)
    effect = rng.uniform(0.02, 0.2, (len(NAMES), len(NAMES)))
    found = []
    for s in range(seeds):
        for one, two in permutations(range(len(NAMES)), 2):
            own = rng.uniform(10, 20, rows)
            more = own + 10 * (effect[one, two] + noise * rng.standard_normal(rows))
            tokens = (10,) * rows
            point = Point("main", s, tuple(sorted((NAMES[one], NAMES[two]))))
            scores = [Score(tuple(each), tokens) for each in (own, more)]
            found.append(Measured(point, NAMES[one], *scores))
    return Points(found)


def judged(points: Points, figures: np.ndarray, **more: Any) -> dict[str, Any]:
    return relation(points, figures, **({"in_nats": False} | more))


def test_a_perfect_predictor_is_told_from_a_random_one() -> None:
    points = made_up(0)
    perfect = judged(points, points.interference, in_nats=True)
    assert perfect["spearman"] == perfect["pearson"] == 1.0
    assert perfect["error"] == perfect["bias"] == 0.0
    assert perfect["left_out_error"] < 1e-12
    assert perfect["permutation_p"] < 0.01
    noise = judged(points, np.random.default_rng(1).normal(size=len(points.rows)))
    assert noise["spearman_interval"][0] < 0 < noise["spearman_interval"][1]
    assert noise["permutation_p"] > 0.01
    assert noise["error"] is None


def test_the_permutation_test_is_right_about_predictors_that_know_nothing() -> None:
    """Also where figures of a domain hang together, which points taken alone would not forgive."""
    values = []
    for seed in range(40):
        points = made_up(seed, seeds=1, rows=4)
        own = dict(zip(NAMES, np.random.default_rng([seed, 1]).normal(size=6), strict=True))
        figures = np.array([own[row.domain] for row in points.rows])
        value = permutation_p(points, figures)
        assert value is not None
        values.append(value)
    assert np.mean(np.array(values) < 0.2) == pytest.approx(0.2, abs=0.19)


def test_the_left_out_error_of_a_constant_is_the_distance_from_the_others_mean() -> None:
    points = made_up(3)
    wanted = []
    for name in NAMES:
        without = [r.interference for r in points.rows if name not in r.point.domains]
        itself = [r.interference for r in points.rows if r.domain == name]
        wanted.append(np.mean(np.abs(np.array(itself) - np.mean(without))))
    assert left_out_error(points, np.ones(len(points.rows))) == pytest.approx(np.mean(wanted))


def test_points_without_a_figure_are_left_out_and_counted() -> None:
    points = made_up(4)
    figures = points.interference.copy()
    figures[:5] = np.nan
    found = judged(points, figures)
    assert found["n"] == len(points.rows) - 5
    assert found["spearman"] == 1.0
    assert found["permutation_p"] is None


def test_within_a_domain_only_its_own_partners_are_ranked() -> None:
    """A figure that is right within each domain and knows nothing of domains has 1 there alone."""
    points = made_up(7, seeds=1)
    shift = dict(zip(NAMES, np.random.default_rng(0).normal(0, 10, 6), strict=True))
    figures = np.array([row.interference + shift[row.domain] for row in points.rows])
    assert within_domains(points, figures) == pytest.approx(1.0)
    assert judged(points, figures)["spearman"] < 0.9
    own = np.array([shift[row.domain] for row in points.rows])
    assert within_domains(points, own) is None


def test_a_lead_is_taken_on_the_points_that_the_rival_knows() -> None:
    """A rival that is perfect where it has a figure is not behind for the points it lacks."""
    rows = made_up(8).rows
    noise = np.random.default_rng(0).normal(0, 0.05, len(rows))
    found = [
        Judged(
            row,
            {
                "lambda space": row.interference + off,
                "knows one seed": row.interference if row.point.seed == 0 else math.nan,
                "twin": row.interference + off,
                "constant": 1.0,
                "silent": math.nan,
            },
        )
        for row, off in zip(rows, noise, strict=True)
    ]
    names = ["lambda space", "knows one seed", "twin", "constant", "silent"]
    said = promised(found, names)
    assert said is not None
    leads = said["leads"]
    assert list(leads) == ["knows one seed", "twin"]
    assert leads["twin"] == {"n": 90, "value": 0.0, "interval": [0.0, 0.0]}
    assert leads["knows one seed"]["n"] == 30
    assert leads["knows one seed"]["value"] < 0
    mean = np.mean([row.interference for row in rows])
    assert said["error_share"]["value"] == pytest.approx(np.abs(noise).mean() / mean, rel=1e-3)
    low, high = said["error_share"]["interval"]
    assert low < said["error_share"]["value"] < high


def test_noisy_test_rows_lower_the_ceiling() -> None:
    quiet, loud = ceiling(made_up(5, noise=0.01)), ceiling(made_up(5, noise=0.3))
    assert quiet is not None
    assert loud is not None
    assert loud < quiet <= 1.0
    assert quiet > 0.98


def test_few_domains_have_no_permutation() -> None:
    points = made_up(6)
    few = [row for row in points.rows if set(row.point.domains) <= {"a", "b", "c"}]
    assert permutation_p(Points(few), np.arange(len(few), dtype=float)) is None
    assert permutation_p(points, np.ones(len(points.rows))) is None


def test_a_share_of_few_sums_reaches_as_far_as_independent_sums_would() -> None:
    nine = widened({"value": 1.0, "interval": [1.0, 1.0]}, 9)
    assert nine == {"value": 1.0, "interval": [0.6637, 1.0]}
    wider = widened({"value": 0.9464, "interval": [0.7778, 1.0]}, 56)
    assert wider["interval"] == [0.7778, 1.0]
    assert widened(nine, 9) == nine


def test_tuned_weights_are_measured_on_test_rows_beside_naive_and_average(played: Field) -> None:
    with played.claimed():
        weigh_missing(played)
    found = weighed(played.folder.path)
    assert set(found) == set(METHODS)
    sums = [p.domains for p in points(played.names, played.tournament) if len(p.domains) > 1]
    assert found["average"]["sums"] == found["tuned"]["sums"] == len({*sums})
    tuned = Weighting("tuned", 0, played.names[:2])
    held = json.loads((played.folder.path / tuned.file).read_text())
    adapters = [
        superpose.load(played.folder.path / f"adapters/main/seed-0/{name}")
        for name in tuned.domains
    ]
    with SuperposedModel(played.base.model, adapters) as model:
        weights = [held["weights"][name] for name in tuned.domains]
        with model.at(weights) as weighted:
            nll = score(weighted, played.examples(tuned.domains[0], "test")).nll
    rows = held["scores"][tuned.domains[0]]
    assert sum(rows["row_nll"]) / sum(rows["row_tokens"]) == pytest.approx(nll, rel=1e-4)
    assert found["tuned"]["naive_regret"] == found["average"]["naive_regret"]


def test_the_gap_closed_is_the_part_of_the_naive_sums_regret_that_is_gone(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)

    def write(kind: str, method: str, domains: tuple[str, ...], nll: float) -> None:
        scores = {name: Score((nll,), (1,)) for name in domains}
        file = f"{kind}/{method}/seed-0/{'+'.join(domains)}.json"
        folder.write(file, content(method, 0, domains, scores, 1.0))

    for domains, naive, average, tuned in (("ab", 3.0, 2.5, 2.0), ("ac", 2.0, 1.2, 1.5)):
        write("cells", "main", tuple(domains), naive)
        write("weighted", "average", tuple(domains), average)
        write("weighted", "tuned", tuple(domains), tuned)
    for name in "abc":
        write("cells", "main", (name,), 1.0)
    found = weighed(tmp_path)["tuned"]
    assert found["gap_closed"]["value"] == pytest.approx(1.5 / 3, abs=1e-3)
    assert found["better_than_naive"]["value"] == 1.0
    assert found["better_than_average"]["value"] == 0.5
