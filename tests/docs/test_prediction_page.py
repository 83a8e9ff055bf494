"""docs/prediction.md is what is made of the tournament's committed record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.prediction.again import judged_anew
from benchmarks.prediction.brief import COMMAND, best_without_data, brief
from benchmarks.prediction.elsewhere import gained
from benchmarks.prediction.page import PAGE, page
from benchmarks.prediction.tournament import RECORD
from benchmarks.readme import block_of
from benchmarks.second.rows import RECORD as SECOND
from tests.mid_ranks import ranks, spearman


def test_the_page_is_what_the_record_says() -> None:
    """Neither lies here without the other."""
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    made = page(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.exists() else None
    assert found == made, "run `python -m benchmarks.prediction page`"


def test_the_readme_says_what_the_record_says() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert block_of(COMMAND) == brief(record), "run `python -m benchmarks.prediction page`"


def recorded() -> dict[str, Any]:
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("group", "size"), [("all", None), ("pairs", 2), ("triples", 3), ("quadruples", 4)]
)
def test_anybody_can_recompute_the_headline_from_the_points(group: str, size: int | None) -> None:
    """With numpy alone: Spearman, error and bias of every predictor that has a figure of each."""
    record = recorded()
    rows = [
        (interference, figures)
        for condition, _, domains, _, interference, figures in record["points"]
        if condition == "main" and size in (None, len(domains.split("+")))
    ]
    truth = np.array([interference for interference, _ in rows])
    assert record["groups"][group]["mean"] == pytest.approx(truth.mean(), abs=1e-5)
    compared = 0
    for place, predictor in enumerate(record["predictors"]):
        told, values = predictor["groups"][group], [figures[place] for _, figures in rows]
        if None in values or told["spearman"] is None:
            continue
        figures = np.array(values)
        spearman = np.corrcoef(ranks(figures), ranks(truth))[0, 1]
        assert told["spearman"] == pytest.approx(spearman, abs=1e-4), predictor["name"]
        if predictor["in_nats"]:
            assert told["error"] == pytest.approx(np.abs(figures - truth).mean(), rel=1e-3)
            assert told["bias"] == pytest.approx((figures - truth).mean(), rel=1e-3, abs=1e-5)
        compared += 1
    assert compared >= 15


def resamples(record: dict[str, Any], count: int) -> np.ndarray:
    """How often each main point is drawn: domains and seeds by themselves, sizes at their share."""
    rng = np.random.default_rng(5)
    points = [
        (seed, sum_.split("+")) for kind, seed, sum_, *_ in record["points"] if kind == "main"
    ]
    names, seeds = sorted({n for _, members in points for n in members}), record["seeds"]
    domains, trainings = (
        rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=count)
        for each in (names, seeds)
    )
    drawn = np.array([
        trainings[:, seeds.index(seed)]
        * np.prod([domains[:, names.index(n)] for n in members], axis=0)
        for seed, members in points
    ]).T.astype(float)  # fmt: skip
    sizes = np.array([len(members) for _, members in points])
    for size in set(sizes.tolist()):
        held = drawn[:, sizes == size].sum(axis=1, keepdims=True)
        drawn[:, sizes == size] *= (sizes == size).sum() / np.where(held > 0, held, 1)
    return drawn[drawn.sum(axis=1) > 0]


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (RECORD, ("lambda space", "pairs evaluated", "count", "rms cosine")),
        (SECOND, ("lambda space", "sum evaluated", "count", "rms cosine")),
    ],
)
def test_another_draw_of_domains_and_seeds_gives_the_recorded_intervals(
    file: Path, names: tuple[str, ...]
) -> None:
    """By NumPy alone; ends of 1,000 resamples differ by some hundredths from draw to draw."""
    record = json.loads(file.read_text(encoding="utf-8"))
    points = [point for point in record["points"] if point[0] == "main"]
    truth, drawn = np.array([point[4] for point in points]), resamples(record, 1000)
    found = {}
    for place, predictor in enumerate(record["predictors"]):
        if predictor["name"] in names:
            figures = np.array([point[5][place] for point in points])
            each = np.array([spearman(figures, truth, times) for times in drawn])
            found[predictor["name"]] = each
            ends = np.nanquantile(each, [0.025, 0.975])
            told = predictor["groups"]["all"]["spearman_interval"]
            np.testing.assert_allclose(told, ends, atol=0.12, err_msg=predictor["name"])
    for name in names[1:]:
        lead = np.nanquantile(found["lambda space"] - found[name], [0.025, 0.975])
        told = record["promised"]["leads"][name]["interval"]
        np.testing.assert_allclose(told, lead, atol=0.12, err_msg=name)


@pytest.mark.hard
def test_the_record_is_what_its_own_points_give() -> None:
    """Every interval too: run `python -m benchmarks.prediction again` where it is not."""
    record = recorded()
    assert judged_anew(record) == record


def test_what_is_said_of_the_studies_is_in_their_tables() -> None:
    assert gained("smollm2", "tuned").gap_closed == pytest.approx(0.271, abs=5e-4)
    assert (gained("smollm2", "tuned").better, gained("smollm2", "tuned").sums) == (10, 12)
    assert gained("demo-baselines", "merged").gap_closed == pytest.approx(1.175, abs=5e-4)


def words(name: str) -> str:
    """A page's text in one line."""
    return " ".join((PAGE.parent.parent / name).read_text(encoding="utf-8").split())


def test_the_readme_says_of_the_second_run_what_its_record_says() -> None:
    """By hand, beside the block that is made: also what speaks against the forecast."""
    second = json.loads(SECOND.read_text(encoding="utf-8"))
    groups = {each["name"]: each["groups"] for each in second["predictors"]}
    free = best_without_data(second, "all")
    orders = {
        name: f"{each['all']['spearman']:.2f}"
        for name, each in groups.items()
        if each["all"]["spearman"] is not None
    }
    inside = [
        f"{groups[name][size]['spearman']:.2f}"
        for name in ("lambda space", free)
        for size in ("triples", "quadruples")
    ]
    leads = second["promised"]["leads"]
    assert all(leads[name]["interval"][0] <= 0 for name in ("count", free))
    was, now = (second["forms"][form] for form in ("registered", "now"))
    right = {name: f"{way['points']:.1f}" for name, way in second["right"]["ways"].items()}
    order = {name: f"{way['spearman']:.2f}" for name, way in second["right"]["ways"].items()}
    readme = words("README.md")
    for said in (
        f"({orders['sum evaluated']} over all sums, lambda space {orders['lambda space']})",
        f"the number of adapters alone has {orders['count']}, the best figure of the weights "
        f"{orders[free]}, and both differences' intervals hold 0",
        "lambda space has {} and {}, that figure {} and {}".format(*inside),
        f"({was['all']['share']['value']:.2f} of the mean where a third was allowed)",
        f"the error is {now['new seeds']['error']:.2f} nats where it was "
        f"{was['new seeds']['error']:.2f}, of a mean of {now['new seeds']['mean']:.2f}",
        f"was {right['predicted']} points off on the mean and ranked sums with "
        f"{order['predicted']}",
        f"was {right['same']} points off ({order['same']}), on 128 it was {right['evaluated']} "
        f"({order['evaluated']})",
        f"was {right['own']} points off ({order['own']})",
    ):
        assert said in readme, said


def test_how_rough_a_forecast_is_at_drawn_weights_stands_in_readme_and_limits() -> None:
    second = json.loads(SECOND.read_text(encoding="utf-8"))
    (drawn,) = (
        each
        for each in second["coverage"]["groups"]
        if (each["adapters"], each["kind"]) == (6, "random weights")
    )
    error, mean, half = (f"{drawn[key]:.2f}" for key in ("error", "mean", "half_width"))
    assert f"with six adapters {error} nats off where {mean} are lost" in words("README.md")
    assert f"{error} nats off on the mean with six adapters, where {mean} were lost" in words(
        "docs/limits.md"
    )
    assert f"its intervals reach {half} nats either way" in words("docs/limits.md")
    three, four = (
        f"{100 * each['fresh'][0] / each['fresh'][1]:.0f} %"
        for kind in ("triples", "quadruples")
        for each in second["coverage"]["groups"]
        if (each["adapters"], each["kind"]) == (9, kind)
    )
    assert f"last with nine ({three} at sums of three, {four} of four)" in words("README.md")
    off, worse = (
        f"{each['error']:.2f} {nats}of {each['mean']:.2f}"
        for kind, nats in (("triples", "nats off "), ("quadruples", ""))
        for each in second["coverage"]["groups"]
        if (each["adapters"], each["kind"]) == (9, kind)
    )
    assert f"it was {off} at sums of three and {worse} at sums of four" in words("README.md")


def test_the_readme_says_beside_the_arena_what_tuned_weights_closed_in_the_studies() -> None:
    tuned, merged = gained("smollm2", "tuned"), gained("smollm2", "merged")
    assert (
        f"{tuned.better} of {tuned.sums} sums of three seeds were better than naive, and "
        f"{100 * tuned.gap_closed:.0f} % of the gap was closed where fine-tuning on the merged "
        f"data, for equal epochs, closed {100 * merged.gap_closed:.0f} %"
    ) in words("README.md")
