"""A page of a study of six domains is read in six screens, and no map cuts a name."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.landscape.test_forecast import Known
from tests.report.conftest import MADE, random_check

from superpose.adapter import Adapter, Delta
from superpose.interference import check
from superpose.landscape.advice import advise
from superpose.report import check_page, study_page, write_page
from superpose.report.relation import relation_charts
from superpose.shown import Table
from superpose.studies.screenful import MOST_ROWS
from superpose.studies.summary import Summary, told_from
from superpose.studies.tables import study_parts

if TYPE_CHECKING:
    from tests.report.conftest import Open

DEMO = Path(__file__).parents[2] / "docs" / "results" / "demo" / "summary.json"


def of_six(names: tuple[str, ...]) -> Summary:
    """A summary of every sum of six domains, with the figures that the demo's domains have."""
    held = json.loads(DEMO.read_text("utf-8"))
    known = list(held["domains"])
    like = {name: known[at % 3] for at, name in enumerate(names)} | {"union": "union"}
    whole = held["subsets"][-1]
    sums = {row["domain"]: row for row in whole["measured"]}
    methods = [row for row in held["methods"] if row["subset"] == whole["domains"]]
    foreseen = [row for row in held["forecast"]["predictions"] if row["subset"] == whole["domains"]]
    every = [of for size in range(2, 7) for of in itertools.combinations(names, size)]
    held["domains"] = {name: held["domains"][like[name]] for name in names}
    held["subsets"] = [
        {
            "domains": of,
            "measured": [{**sums[like[name]], "domain": name} for name in (*of, "union")],
        }
        for of in every
    ]
    held["methods"] = [
        {**row, "subset": of, "domain": name}
        for of in every
        for name in (*of, "union")
        for row in methods
        if row["domain"] == like[name]
    ]
    held["against_sum"] = [
        {**row, "subset": of, "domain": name}
        for of in every
        for name in (*of, "union")
        for row in held["against_sum"]
        if (row["subset"], row["domain"]) == (whole["domains"], like[name])
    ]
    held["forecast"]["predictions"] = [
        {**row, "subset": of, "domain": name}
        for of in every
        for name in of
        for row in foreseen
        if row["domain"] == like[name]
    ]
    held["forecast"]["calibration"]["rows_of"] = dict.fromkeys(names, 16)
    for advice in held["forecast"]["advice"]:
        advice["weights"] = dict.fromkeys(names, 0.8)
    for tuned in held["forecast"]["tuned"]:
        tuned["weights"] = {"+".join(names): dict.fromkeys(names, 0.8)}
    held["points"] = [{**held["points"][len(of) % 4], "domains": of} for of in every]
    held["remarks"] += [f"{name}: at 96 tokens 3 of 24 test answers are cut" for name in names]
    return Summary.from_json(held)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of six domains."""
    known = Known(6, 0.3).forecast()
    names = known.names
    forecast = replace(known, domains=names)
    advice = advise(forecast)
    found: dict[str, Any] = {
        **forecast.to_json(),
        "model": forecast.to_model(),
        "advice": advice.to_json(),
        "tuned": {"+".join(names): forecast.best_of(names)},
        "calibration": {"rows": 96},
    }
    path = tmp_path_factory.mktemp("six") / "page.html"
    adapters = [f"runs/six/adapters/seed-0/single-{name}" for name in names]
    page = study_page(of_six(names), {0: random_check(names)}, {0: found}, {0: adapters}, MADE)
    write_page(path, page)
    return path


@pytest.mark.parametrize("size", [(1400, 900), (1280, 900)])
def test_a_study_of_six_domains_is_read_in_six_screens(
    open_page: Open, six: Path, size: tuple[int, int]
) -> None:
    width, height = size
    page = open_page(six, viewport={"width": width, "height": height})
    page.wait_for_function("() => document.querySelector('[data-desk]').hidden === false")
    assert page.evaluate("() => document.documentElement.scrollHeight") < 6 * height
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    table = page.locator("[data-table='methods']")
    assert table.locator("tbody tr").count() == 243
    table.locator("[data-filter]").fill("a + b + c + d + e + f")
    assert 7 <= table.locator("tbody tr:visible").count() <= 20
    ties = page.locator("[data-table='against-sum']")
    assert ties.locator("tbody tr").count() == 57
    assert not ties.is_visible()
    page.get_by_text("All 57 sums").click()
    assert ties.is_visible()


def test_on_paper_every_row_of_a_long_table_is_there(open_page: Open, six: Path) -> None:
    page = open_page(six)
    page.emulate_media(media="print")
    for box in page.locator(".box.tall").all():
        if box.is_visible():
            assert box.evaluate("box => box.scrollHeight <= box.clientHeight + 1")


def kohya(name: str, seed: int) -> Adapter:
    """An image LoRA's modules, as kohya's scripts call them."""
    rng = np.random.default_rng(seed)
    encoder = [
        f"lora_te_text_model_encoder_layers_{n}_{kind}"
        for n in range(12)
        for kind in (*(f"self_attn_{m}_proj" for m in ("q", "k", "v", "out")), "mlp_fc1", "mlp_fc2")
    ]
    attention = [f"attn{k}_to_{m}" for k in (1, 2) for m in ("q", "k", "v", "out_0")]
    inner = [f"transformer_blocks_0_{kind}" for kind in (*attention, "ff_net_0_proj", "ff_net_2")]
    denoiser = [
        f"lora_unet_{part}_{block}_attentions_{n}_{kind}"
        for part, blocks in (("down_blocks", (0, 1, 2)), ("up_blocks", (1, 2, 3)))
        for block in blocks
        for n in (0, 1)
        for kind in ("proj_in", "proj_out", *inner)
    ]
    return Adapter(
        {
            module: Delta.of(rng.normal(size=(8, 2)), rng.normal(size=(2, 8)))
            for module in (*encoder, *denoiser)
        },
        name=name,
    )


@pytest.mark.parametrize("width", [1400, 375])
def test_no_name_in_a_map_is_cut_and_no_two_are_alike(
    open_page: Open, tmp_path: Path, width: int
) -> None:
    names = ("a cat that sleeps on the sofa all day", "a cat that sleeps on the sofa all night")
    path = tmp_path / "check.html"
    found = check([kohya(name, seed) for seed, name in enumerate(names)])
    write_page(path, check_page(found.to_json(), MADE))
    page = open_page(path, viewport={"width": width, "height": 900})
    page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    maps = page.locator("[data-modules] .map")
    assert maps.count() == 2, "text encoder and U-Net"
    for each in page.locator(".map").all():
        heads = each.locator("tbody th").all_inner_texts()
        assert len(set(heads)) == len(heads)
        cut = each.locator("th, th span").evaluate_all(
            """heads => heads.filter((head) => head.scrollWidth > head.clientWidth + 1
              && getComputedStyle(head).overflowX !== "visible").map((head) => head.textContent)"""
        )
        assert cut == []
        over = each.evaluate(
            """map => [...map.querySelectorAll("tbody tr")].filter((row) => {
              const [head, cell] = row.children;
              return head.firstChild.getBoundingClientRect().right > cell.getBoundingClientRect().left + 1;
            }).length"""  # noqa: E501
        )
        assert over == 0, "a name lies over a cell"
    assert maps.nth(1).locator("tbody th").first.inner_text() == "down_blocks_0_attentions_0"
    if width == 1400:
        box = page.locator("[data-modules]")
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), "it scrolls sideways"


def test_a_grid_of_a_chart_is_not_dashed_as_its_diagonal(open_page: Open, six: Path) -> None:
    page = open_page(six)
    chart = page.locator("[data-chart=foreseen]")
    dashes = "all => all.map((one) => getComputedStyle(one).strokeDasharray)"
    assert set(chart.locator("line.grid, text").evaluate_all(dashes)) == {"none"}
    assert chart.locator("line.equal").evaluate_all(dashes) != ["none"]


def test_no_table_of_six_domains_is_longer_than_a_screen_of_a_terminal() -> None:
    tables = [part for part in study_parts(of_six(tuple("abcdef"))) if isinstance(part, Table)]
    ties = next(table for table in tables if table.title.startswith("Each method against"))
    assert len(ties.rows) == MOST_ROWS
    assert ties.rows[-1][0].names == tuple("abcdef")
    assert ties.remark.startswith(f"{MOST_ROWS} of 57 rows")
    assert max(len(table.rows) for table in tables) == MOST_ROWS


def test_a_study_says_which_of_its_predicted_sums_were_measured_on_calibration_rows() -> None:
    demo = Summary.from_json(json.loads(DEMO.read_text("utf-8")))
    for summary, said in (
        (demo, "each of these sums measured there"),
        (of_six(tuple("abcdef")), "sums of two and of all measured there, those between"),
    ):
        tables = [part for part in study_parts(summary) if isinstance(part, Table)]
        assert sum(said in table.title for table in tables) == 1
        (chart,) = (each for each in relation_charts(summary) if each.key == "foreseen")
        assert said in chart.note


@pytest.mark.parametrize("adapters", [2, 3, 4, 6])
def test_the_sums_that_are_said_to_be_measured_are_those_of_a_forecast(adapters: int) -> None:
    found: dict[int, set[str]] = {}
    for row in Known(adapters, 0.3).forecast().every_subset():
        size = int(sum(row.weights.values()))
        if size > 1 and row.weights[row.domain.removesuffix(".jsonl")]:
            found.setdefault(size, set()).add(row.how)
    assert found[2] == found[adapters] == {"measured"}
    between = set().union(*(found[size] for size in range(3, adapters)))
    assert between == ({"foretold"} if adapters > 3 else set())
    assert ("foretold" in told_from(found)) == bool(between)
