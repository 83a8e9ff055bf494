"""The second tournament's judge: what it says follows from row losses, for anybody to recompute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.prediction.as_the_paper import as_the_paper, of_run, of_study
from benchmarks.prediction.domains import Source
from benchmarks.prediction.elsewhere import RESULTS, STUDIES
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Measured
from benchmarks.prediction.settings import Tournament
from benchmarks.second import rows as rows_module
from benchmarks.second.coverage import coverage, told_beside
from benchmarks.second.figures import rows_of
from benchmarks.second.judge import judged_rows, passes, told
from benchmarks.second.merged import merged_pairs
from benchmarks.second.page import second_page
from benchmarks.second.plan import MATCHED, Part, choice_point, parts, weightings
from benchmarks.second.rows import (
    RECORD,
    ROWS,
    Measurements,
    PartRows,
    collected,
    kept,
    recorded_rows,
    seeds_left,
)
from benchmarks.second.signs import signs
from benchmarks.second.turning import signs_judged
from benchmarks.second.ways import Place, Ways
from tests.second_recomputed import check_second_run
from tests.second_refitted import check_lambda_space
from tests.small_field import PLAYED

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.interference.predictors import DATA_FREE, Case
from superpose.landscape.predictors import PREDICTORS

pytestmark = pytest.mark.slow  # the judge resamples every predictor in every group

NAMES = ("art", "birds", "coins", "dishes", "east")
ROWS_OF = {"slopes": 24, "evaluated": 24, "test": 30}
SLOPED = 12
SCALES = np.array([0.8, 1.2, 0.9, 1.1, 1.3])
SETTINGS = Tournament(triples=3, quadruples=2, seeds=(0, 1))


class World:
    """A loss and margins of every row that are quadratics in the task weights."""

    def __init__(self, seed: int, domain: str, rows: int, kind: str) -> None:
        rng = np.random.default_rng([seed, NAMES.index(domain)])
        count = len(NAMES)
        self.center = np.eye(count)[NAMES.index(domain)]
        root = rng.normal(size=(count, count))
        self.curvature = 0.1 * root @ root.T
        own = np.random.default_rng([seed, NAMES.index(domain), kind == "test"])
        self.tokens = own.integers(3, 9, size=rows)
        self.scale = own.uniform(0.8, 1.2, size=rows)
        self.margin = own.normal(0.4, 0.6, size=rows)

    def nll(self, points: np.ndarray) -> np.ndarray:
        apart = points - self.center
        loss = 1 + np.einsum("pk,kj,pj->p", apart, self.curvature, apart) / 2
        return loss[:, None] * self.scale * self.tokens

    def slopes(self, points: np.ndarray) -> np.ndarray:
        slope = (points - self.center) @ self.curvature
        return slope[:, None] * (self.scale * self.tokens)[:, None]

    def choices(self, points: np.ndarray) -> np.ndarray:
        """Two choices, the first right; margins fall as the loss rises."""
        apart = points - self.center
        lost = np.einsum("pk,kj,pj->p", apart, self.curvature, apart) / 2
        right = self.nll(points)
        return np.stack([right, right + self.margin - lost[:, None]], axis=-1)

    def margin_slopes(self, points: np.ndarray) -> np.ndarray:
        slope = -(points - self.center) @ self.curvature
        return np.repeat(slope[:, None], SLOPED, axis=1)


def measurements(field: Field) -> Measurements:
    """Every part of every seed; the last domain has no choices."""
    found = {}
    for part in parts(field):
        points = weightings(field, part)
        world = World(part.seed, part.domain, ROWS_OF[part.part], part.part)
        choosing = part.domain != NAMES[-1]
        sloped = part.part == "slopes"
        choices = world.choices(points) if choosing else np.zeros(0)
        if choosing and not sloped:
            choices[[not choice_point(point) for point in points]] = np.nan
        found[part] = PartRows(
            points,
            world.tokens,
            world.nll(points),
            choices[:, :SLOPED] if choosing and sloped else choices,
            np.zeros(len(world.tokens) if choosing else 0, dtype=np.int64),
            world.slopes(points) if sloped else np.zeros(0),
            world.margin_slopes(points) if choosing and sloped else np.zeros(0),
            np.array(10.0),
        )
    for domain in NAMES:
        world = World(0, domain, ROWS_OF["test"], "test")
        own = np.eye(len(NAMES))[NAMES.index(domain)]
        points = SCALES * np.maximum(own, np.eye(len(NAMES)))
        none = np.zeros(0)
        rows = world.tokens, world.nll(points), none, none.astype(int), none, none, np.array(0.0)
        found[Part(0, domain, MATCHED)] = PartRows(points, *rows)
    return Measurements(NAMES, found, made_ways())


def made_ways() -> dict[Place, Ways]:
    """The sum is better than merged data of equal steps at one epoch, and worse at three."""
    rng = np.random.default_rng(3)
    ways = {}
    for sign in signs():
        for domain in sign.pair:
            tokens = rng.integers(2, 6, size=40)
            apart = dict.fromkeys(("base", *sign.pair, "merged-epochs", "sum"), 0.0)
            apart |= {"base": 2.0, "merged-epochs": -0.2, "sum": 0.0}
            apart["merged-steps"] = 0.3 if sign.epochs == 1 else -0.3
            nll = {way: tokens * (1 + x + rng.normal(0, 0.05, 40)) for way, x in apart.items()}
            ways[Place("signs", sign.setting, domain)] = Ways(tokens, nll)
    pair, own = NAMES[1:3], np.array([[0.0, 1, 1, 0, 0]])
    for domain in pair:
        world = World(1, domain, ROWS_OF["test"], "test")
        tokens, naive = world.tokens[:20], world.nll(own)[0, :20]
        nll = {"merged-epochs": naive - 0.1 * tokens, "merged-steps": naive + 0.2 * tokens}
        ways[Place("merged", "1-birds+coins", domain)] = Ways(tokens, nll)
    return ways


def of_weights(row: Measured) -> dict[str, float]:
    """What tiny random adapters tell."""

    def adapter(name: str) -> Adapter:
        rng = np.random.default_rng([row.point.seed, NAMES.index(name)])
        factors = rng.standard_normal((2, 6, 2)).astype(np.float32)
        return Adapter({"q": Delta.of(factors[0], factors[1].T)}, name)

    others = tuple(adapter(name) for name in row.point.domains if name != row.domain)
    case = Case(adapter(row.domain), others)
    return {each.name: each.predict(case) for each in DATA_FREE}


@pytest.fixture(scope="module", params=PLAYED)
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    sources = {name: Source(f"{name}.jsonl") for name in NAMES}
    return Field(tmp_path_factory.mktemp("second"), tournament=SETTINGS, sources=sources)


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    """What rows do not tell."""
    counted = {"rows": 24, "tokens": 130, "cut": 0}
    return {
        "tournament": SETTINGS.to_json(),
        "left_out": [2],
        "rows": {name: {"calibration": counted, "test": counted} for name in NAMES},
        "lengths": dict.fromkeys(NAMES, 700),
        "measured_with": {},
    }


@pytest.fixture(scope="module")
def judged(
    field: Field, about: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """A record, and the file of row losses behind it."""
    file = tmp_path_factory.mktemp("rows") / "rows.npz"
    kept(measurements(field), file)
    return judged_rows(recorded_rows(file), of_weights, about), file


def test_anybody_can_recompute_the_headlines_from_row_losses(
    judged: tuple[dict[str, Any], Path],
) -> None:
    check_second_run(*judged)


def test_the_committed_record_follows_from_its_row_losses() -> None:
    """Neither half lies here without the other."""
    assert RECORD.exists() == ROWS.exists()
    if RECORD.exists():
        check_second_run(json.loads(RECORD.read_text(encoding="utf-8")), ROWS)


def test_lambda_space_is_fitted_anew_by_numpy_alone(judged: tuple[dict[str, Any], Path]) -> None:
    record, file = judged
    check_lambda_space(record, dict(np.load(file)))


@pytest.mark.hard  # 756 fits, of which the test above has as few as there are domains
def test_the_recorded_lambda_space_is_fitted_anew_by_numpy_alone() -> None:
    check_lambda_space(json.loads(RECORD.read_text(encoding="utf-8")), dict(np.load(ROWS)))


def test_judging_the_record_anew_gives_the_record(judged: tuple[dict[str, Any], Path]) -> None:
    """From row losses, and what the record says that the weights tell."""
    record, file = judged
    anew = judged_rows(recorded_rows(file), told(record), record["about"])
    assert json.loads(json.dumps(anew)) == json.loads(json.dumps(record))


def test_what_is_on_record_needs_no_folder_and_is_left_alone(
    field: Field,
    judged: tuple[dict[str, Any], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another machine goes on from the repository alone; another tournament does not."""
    record, file = judged
    monkeypatch.setattr(rows_module, "RECORD", tmp_path / "second.json")
    monkeypatch.setattr(rows_module, "ROWS", file)
    assert seeds_left(field) == [0, 1]
    (tmp_path / "second.json").write_text(json.dumps(record), encoding="utf-8")
    assert seeds_left(field) == []
    joined = collected(field, recorded_rows(file))
    assert joined.parts.keys() == measurements(field).parts.keys()
    assert joined.ways.keys() == measurements(field).ways.keys()
    monkeypatch.setattr(field, "tournament", replace(SETTINGS, triples=2))
    assert seeds_left(field) == [0, 1]


def test_every_sum_is_judged_on_each_of_its_members(
    field: Field, judged: tuple[dict[str, Any], Path]
) -> None:
    record, _ = judged
    # Ten pairs, three triples, two quadruples and all five, of two seeds.
    assert record["groups"]["all"]["n"] == 2 * (10 * 2 + 3 * 3 + 2 * 4 + 5)
    assert len(list(rows_of(measurements(field)))) == record["groups"]["all"]["n"]
    entered = {each["name"] for each in record["predictors"]}
    missing = set(record["not_measured"])
    assert missing == {
        "activation distance", "after OSRM", "Kronecker cosine", "Kronecker quadratic", "MAP",
        "MAP, one merge",
    }  # fmt: skip
    assert entered == {each.name for each in PREDICTORS} - missing | {"data-free, combined"}


def test_what_is_measured_costs_as_many_passes_as_are_asked(
    judged: tuple[dict[str, Any], Path],
) -> None:
    record, _ = judged
    cost = {each["name"]: each["cost"]["tokens"] / 700 for each in record["predictors"]}
    assert cost["pairs evaluated"] == 5
    assert cost["lambda space"] == 2 * 5 + 2
    assert cost["sum evaluated"] == pytest.approx(1 + record["groups"]["all"]["n"] / (2 * 5), abs=1)
    assert cost["rms cosine"] == 0


def test_a_forecast_pays_from_five_adapters_on_for_sums_with_the_own_one() -> None:
    found = [passes(adapters) for adapters in range(2, 9)]
    assert next(each["adapters"] for each in found if each["forecast"] < each["own"]) == 5
    assert next(each["adapters"] for each in found if each["forecast"] < each["every"]) == 4
    assert not any(each["forecast"] < each["one"] for each in found)


def test_intervals_are_counted_where_nothing_was_measured(field: Field) -> None:
    found = measurements(field)
    told_of = list(told_beside(found))
    assert {each[:3] for each in told_of} == {
        (5, "triples", "test"), (5, "quadruples", "test"), (5, "random weights", "test"),
        (4, "triples", "test"), (4, "random weights", "test"),
        (5, "triples", "calibration"), (5, "quadruples", "calibration"),
        (4, "triples", "calibration"),
    }  # fmt: skip
    # A loss that is a quadratic, but for the own axis, is met within what rows leave open.
    triples = [each for each in told_of if each.kind == "triples"]
    assert all(abs(each.foretold - each.measured) < 0.2 for each in triples)
    assert all(each.held for each in told_of if each.rows == "calibration")


@pytest.mark.parametrize(
    ("part", "rows", "sizes"),
    [("test", "test", (2, 3, 4, 5)), ("evaluated", "calibration", (3,))],
)
def test_what_is_not_as_foretold_falls_out_of_its_interval(
    field: Field, part: str, rows: str, sizes: tuple[int, ...]
) -> None:
    """Of triples on the calibration rows, which no forecast has seen; on test rows of all."""
    found = measurements(field)
    changed = {p: (worse(r, sizes) if p.part == part else r) for p, r in found.parts.items()}
    groups = coverage(Measurements(NAMES, changed))["groups"]
    asked = [each for each in groups if each["rows"] == rows and each["kind"] != "quadruples"]
    assert asked
    assert all(each["held"] == 0 for each in asked)


def worse(rows: PartRows, sizes: tuple[int, ...]) -> PartRows:
    """The same with ten nats a token more where so many adapters are at work."""
    several = np.isin((rows.points > 0).sum(axis=1), sizes)
    return PartRows(**{**vars(rows), "nll": rows.nll + 10 * several[:, None] * rows.tokens})


def test_the_sign_of_dppl_turns_where_two_trainings_lie_on_both_sides_of_zero() -> None:
    ways = made_ways()
    found = signs_judged(ways)
    assert found is not None
    assert found["verdicts"] == {"merged-epochs": "stays", "merged-steps": "turns"}
    one = {place: rows for place, rows in ways.items() if place.name.endswith("-1")}
    fewer = signs_judged(one)
    assert fewer is not None
    # What is not trained could turn it, but not back.
    assert fewer["verdicts"] == {"merged-epochs": "open", "merged-steps": "open"}
    assert fewer["left_out"] == 2
    assert signs_judged({}) is None


def test_pairs_of_one_norm_are_ranked_beside_the_same_pairs_as_trained(
    judged: tuple[dict[str, Any], Path],
) -> None:
    """The loss is one polynomial, so lambda space tells both; a norm tells of one alone."""
    record, _ = judged
    norms = record["norms"]
    assert norms["n"] == 2 * 10
    assert norms["missing"] == []
    told = {each["name"]: each for each in norms["predictors"]}
    assert told["lambda space"]["matched"] > 0.9
    assert told["count"]["plain"] is told["count"]["matched"] is None
    assert "sum evaluated" not in told
    main = {tuple(p[1:4]): p[4] for p in record["points"]}
    assert all(main[tuple(p[:3])] == p[3] != p[4] for p in norms["points"])


def test_merged_data_of_other_rows_is_refused(field: Field) -> None:
    found = measurements(field)
    place = Place("merged", "1-birds+coins", "birds")
    other = replace(found.ways[place], tokens=found.ways[place].tokens + 1)
    changed = Measurements(NAMES, found.parts, {**found.ways, place: other})
    figures = {row.point: {n: {"rms cosine": 0.1} for n in NAMES} for row in rows_of(found)}
    with pytest.raises(BadInput, match="measured on other rows"):
        merged_pairs(changed, figures)


def test_seeds_that_are_not_finished_are_left_out(field: Field) -> None:
    with pytest.raises(BadInput, match="no domain is measured to its end"):
        collected(field)
    made = measurements(field)
    for part, rows in made.parts.items():
        if part.part != MATCHED and (part.seed == 0 or part.part == "test"):
            field.folder.write(part.file, content(rows))
    found = collected(field)
    assert found.seeds == [0]
    assert tuple(found.domains) == found.adapters == NAMES
    part = Part(0, NAMES[0], "evaluated")
    np.testing.assert_allclose(found[part].choices, made[part].choices)
    np.testing.assert_allclose(found[part].nll, made[part].nll)


def test_where_no_seed_is_finished_its_finished_domains_are_shown_and_no_bound_is_judged(
    tmp_path: Path, about: dict[str, Any]
) -> None:
    """All adapters are beside the few domains, and the page says that this is no judgement."""
    begun = Field(tmp_path, tournament=SETTINGS, sources={n: Source(f"{n}.jsonl") for n in NAMES})
    for part, rows in measurements(begun).parts.items():
        if part.seed == 0 and (part.domain in NAMES[1:3] or part.part in ("slopes", MATCHED)):
            begun.folder.write(part.file, content(rows))
    found = collected(begun)
    assert (found.adapters, found.domains) == (NAMES, list(NAMES[1:3]))
    record = json.loads(json.dumps(judged_rows(found, of_weights, about)))
    assert list(record["domains"]) == list(NAMES[1:3])
    assert {point[3] for point in record["points"]} == set(NAMES[1:3])
    text = "\n".join(second_page(record))
    assert "**No seed is finished.** Of this one the rows of art, dishes, east" in text
    assert "nan" not in text


def content(rows: PartRows) -> dict[str, Any]:
    """What `measure` writes."""
    choices = [
        None if np.isnan(point).all() else point.tolist() for point in rows.choices
    ] if rows.choices.size else None  # fmt: skip
    sloped = rows.slopes.size > 0
    return {
        "points": rows.points.tolist(),
        "tokens": rows.tokens.tolist(),
        "nll": rows.nll.tolist(),
        "choices": choices,
        "right": rows.right.tolist() or None,
        "slopes": rows.slopes.tolist() if sloped else None,
        "margin_slopes": rows.margin_slopes.tolist() if rows.margin_slopes.size else None,
        "seconds": float(rows.seconds),
    }


def test_the_page_says_what_was_registered_and_what_came_of_it(
    judged: tuple[dict[str, Any], Path],
) -> None:
    record, _ = judged
    text = "\n".join(second_page(record))
    for said in (
        "not finished, and left out: 2", "| sum evaluated |", "| Spearman within triples |",
        "from 5 adapters on, for all subsets from 4 on", "| 4 adapters | random weights | test |",
        "| `predict`, question by question |", "Not measured here: ", "| 0.001 | 3 |",
        "With training, against merged data of equal epochs it stays; against merged data of equal "
        "steps **it turns**.", "## Second run: adapters of one norm", "| lambda space | ",
    ):  # fmt: skip
        assert said in text, said
    assert "nan" not in text


def test_there_is_nothing_to_judge_anew_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing was judged yet"):
        recorded_rows(tmp_path / "rows.npz")
    assert rows_module.ROWS.name == "second.npz"


def test_the_papers_figure_of_recorded_pairs_is_the_studies_own_and_turns_with_the_budget() -> None:
    """Against merged data of equal epochs it is what the study's summary says."""
    for study in STUDIES:
        summary = json.loads((RESULTS / study / "summary.json").read_text(encoding="utf-8"))
        recorded = [p["dppl_percent"] for p in summary["points"] if len(p["domains"]) == 2]
        pairs = of_study(study)
        assert [each.epochs for each in pairs] == pytest.approx(recorded, abs=2e-3)
        assert any(each.steps is not None and each.steps < 0 < each.epochs for each in pairs)
    text = "\n".join(as_the_paper(None))
    assert "| real questions (`smollm2`) | 9 | 3 | 0.60 | 0.57 |" in text
    assert "The second run's pairs are not among them" in text


def test_the_papers_figure_has_the_second_runs_pairs_as_soon_as_they_are_judged(
    judged: tuple[dict[str, Any], Path],
) -> None:
    record, _ = judged
    (pair,) = of_run(record)
    assert (pair.seed, pair.domains) == (1, ("birds", "coins"))
    assert pair.epochs == pytest.approx(100 * np.expm1(0.1), abs=1e-2)
    assert pair.steps == pytest.approx(100 * np.expm1(-0.2), abs=1e-2)
    text = "\n".join(as_the_paper(record))
    assert "| birds + coins, the second run | 1 |" in text
    assert "are not among them" not in text
