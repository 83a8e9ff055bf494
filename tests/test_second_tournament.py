"""The second tournament's judge: what it says follows from row losses, for anybody to recompute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.prediction.domains import Source
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Measured
from benchmarks.prediction.settings import Tournament
from benchmarks.second import rows as rows_module
from benchmarks.second.coverage import coverage, told_beside
from benchmarks.second.figures import rows_of
from benchmarks.second.judge import RECORD, judged_rows, passes, told
from benchmarks.second.page import second_page
from benchmarks.second.plan import Part, choice_point, parts, weightings
from benchmarks.second.rows import ROWS, Measurements, PartRows, collected, kept, recorded_rows

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.interference.predictors import DATA_FREE, Case
from superpose.landscape.predictors import PREDICTORS

pytestmark = pytest.mark.slow  # the judge resamples every predictor in every group

NAMES = ("art", "birds", "coins", "dishes", "east")
ROWS_OF = {"slopes": 24, "evaluated": 24, "test": 30}
SLOPED = 12
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
    return Measurements(NAMES, found)


def of_weights(row: Measured) -> dict[str, float]:
    """What tiny random adapters tell."""

    def adapter(name: str) -> Adapter:
        rng = np.random.default_rng([row.point.seed, NAMES.index(name)])
        factors = rng.standard_normal((2, 6, 2)).astype(np.float32)
        return Adapter({"q": Delta.of(factors[0], factors[1].T)}, name)

    others = tuple(adapter(name) for name in row.point.domains if name != row.domain)
    case = Case(adapter(row.domain), others)
    return {each.name: each.predict(case) for each in DATA_FREE}


@pytest.fixture(scope="module")
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


def ranks(values: np.ndarray) -> np.ndarray:
    order = np.sort(values)
    return np.searchsorted(order, values) + np.searchsorted(order, values, side="right")


def check_by_hand(record: dict[str, Any], file: Path) -> None:
    """Recompute the headlines from row losses, with numpy alone."""
    arrays = dict(np.load(file))
    names = record["adapters"]

    def loss(part: str, seed: int, domain: str, point: np.ndarray) -> float:
        held = {key: arrays[f"{part}|{seed}|{domain}|{key}"] for key in ("points", "nll", "tokens")}
        at = np.abs(held["points"] - point).max(axis=1).argmin()
        assert np.abs(held["points"][at] - point).max() < 1e-6
        return float(held["nll"][at].astype(np.float64).sum() / held["tokens"].sum())

    truth, evaluated, sizes = [], [], []
    place = [each["name"] for each in record["predictors"]].index("sum evaluated")
    for _, seed, members, domain, interference, figures in record["points"]:
        own = np.array([float(name == domain) for name in names])
        both = np.array([float(name in members.split("+")) for name in names])
        found = loss("test", seed, domain, both) - loss("test", seed, domain, own)
        assert interference == pytest.approx(found, abs=2e-6)
        part = "slopes" if both.sum() == 2 else "evaluated"
        more = loss(part, seed, domain, both) - loss("evaluated", seed, domain, own)
        assert figures[place] == pytest.approx(more, abs=2e-4)
        truth.append(found)
        evaluated.append(more)
        sizes.append(both.sum())
    told = record["predictors"][place]["groups"]
    for group, size in (("all", None), ("pairs", 2), ("triples", 3), ("quadruples", 4)):
        chosen = [size in (None, each) for each in sizes]
        x, y = np.array(evaluated)[chosen], np.array(truth)[chosen]
        assert told[group]["spearman"] == pytest.approx(
            np.corrcoef(ranks(x), ranks(y))[0, 1], abs=5e-3
        )
        assert told[group]["error"] == pytest.approx(np.abs(x - y).mean(), rel=1e-2, abs=1e-5)
    for group in record["coverage"]["groups"]:
        key = [group["adapters"], group["kind"], group["rows"]]
        those = [t for t in record["coverage"]["told"] if t[:3] == key]
        assert group["n"] == len(those)
        held = [low <= x <= high for *_, low, high, x in those]
        if group["rows"] == "calibration":
            held = [abs(told - x) <= misfit for *_, told, misfit, _, _, _, x in those]
        assert group["held"] == sum(held)
    if record["right"]:
        check_right_answers(record, arrays, names)


def check_right_answers(
    record: dict[str, Any], arrays: dict[str, np.ndarray], names: list[str]
) -> None:
    def accuracy(part: str, seed: int, domain: str, members: list[str]) -> float:
        points, nll, right = (
            arrays[f"{part}|{seed}|{domain}|{key}"] for key in ("points", "choices", "right")
        )
        point = np.array([float(name in members) for name in names])
        values = np.nan_to_num(nll[np.abs(points - point).max(axis=1).argmin()], nan=np.inf)
        return float(np.mean(values.argmin(axis=1) == right))

    told = record["right"]["told"]
    measured = np.array([each[3] for each in told])
    for seed, members, domain, found, _, evaluated, own, _ in told:
        assert found == pytest.approx(accuracy("test", seed, domain, members.split("+")), abs=1e-4)
        assert evaluated == pytest.approx(
            accuracy("evaluated", seed, domain, members.split("+")), abs=1e-4
        )
        assert own == pytest.approx(accuracy("evaluated", seed, domain, [domain]), abs=1e-4)
    for column, way in ((4, "foretold"), (5, "evaluated"), (6, "own"), (7, "predicted")):
        off = np.abs(np.array([each[column] for each in told]) - measured).mean()
        assert record["right"]["ways"][way]["points"] == pytest.approx(100 * off, abs=1e-2)


def test_anybody_can_recompute_the_headlines_from_row_losses(
    judged: tuple[dict[str, Any], Path],
) -> None:
    check_by_hand(*judged)


def test_the_committed_record_follows_from_its_row_losses() -> None:
    """Neither half lies here without the other."""
    assert RECORD.exists() == ROWS.exists()
    if RECORD.exists():
        check_by_hand(json.loads(RECORD.read_text(encoding="utf-8")), ROWS)


def test_judging_the_record_anew_gives_the_record(judged: tuple[dict[str, Any], Path]) -> None:
    """From row losses, and what the record says that the weights tell."""
    record, file = judged
    anew = judged_rows(recorded_rows(file), told(record), record["about"])
    assert json.loads(json.dumps(anew)) == json.loads(json.dumps(record))


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


def test_seeds_that_are_not_finished_are_left_out(field: Field) -> None:
    with pytest.raises(BadInput, match="no domain is measured to its end"):
        collected(field)
    made = measurements(field)
    for part, rows in made.parts.items():
        if part.seed == 0 or part.part == "test":
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
        if part.seed == 0 and (part.domain in NAMES[1:3] or part.part == "slopes"):
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
        "| `predict`, question by question |", "Not measured here: ",
    ):  # fmt: skip
        assert said in text, said
    assert "nan" not in text


def test_there_is_nothing_to_judge_anew_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing was judged yet"):
        recorded_rows(tmp_path / "rows.npz")
    assert rows_module.ROWS.name == "second.npz"
