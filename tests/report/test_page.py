"""What a page is made of: escaped, self-contained, small, and never in place of another file."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.report.conftest import HOSTILE, MADE, foreseen, random_check

from superpose.errors import OutputExists
from superpose.landscape.adding_up import share_text
from superpose.landscape.predictions import Predictions
from superpose.report import check_page, ready, render, write_page
from superpose.report.heat import modules_grid
from superpose.report.page import Page, Section, json_in_html
from superpose.report.relation_tables import tournament_table
from superpose.report.texts import change_text, perplexity_figure, public, visible_on_page
from superpose.shown import Scale
from superpose.shown.csv_table import csv_of, csv_text
from superpose.shown.words import figure
from superpose.statistics import correlate
from superpose.studies.summary import FigureCorrelation

if TYPE_CHECKING:
    from tests.report.conftest import Foreseen, PageOf


def test_a_page_names_nothing_that_it_would_have_to_fetch(checked: Path) -> None:
    text = checked.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_pages_are_small(checked: Path, studied: Path) -> None:
    assert checked.stat().st_size < 200_000
    assert (studied / "page.html").stat().st_size < 200_000


@pytest.mark.hard
def test_a_page_of_twelve_adapters_is_small(twelve: Foreseen) -> None:
    assert twelve.path.stat().st_size < 2_000_000


def test_sixty_six_pairs_of_many_modules_fit() -> None:
    found = random_check(tuple("abcdefghijkl"), layers=105)
    assert len(found["pairs"]) == 66
    assert len(found["pairs"][0]["modules"]) == 210
    assert len(render(check_page(found, MADE)).encode()) < 2_000_000


def test_two_sections_of_one_anchor_are_no_page() -> None:
    section = Section("table", "Every sum", {})
    with pytest.raises(ValueError, match="one anchor"):
        Page("Sums", "of two", (section, replace(section, title="Right choices")))


def test_hostile_names_are_escaped_between_tags_and_in_the_data() -> None:
    text = render(check_page(random_check(HOSTILE), MADE))
    assert "<img" not in text
    assert "<script>hacked" not in text
    assert "\u202e" not in text
    data = text[text.index('id="data">') + 10 :]
    names = json.loads(data[: data.index("</script>")])["pairs"]["heat"]["labels"]
    assert names[0].startswith(HOSTILE[0])


@pytest.mark.parametrize("text", ["</script><b>", "<!--", "a & b", "\u2028", "\x00", "é"])
def test_data_survives_the_way_into_the_page(text: str) -> None:
    written = json_in_html({"name": text, "none": float("nan")})
    assert not set(written) & set("<>&\u2028\u2029\x00")
    assert json.loads(written) == {"name": visible_on_page(text), "none": None}


def test_an_earlier_page_is_replaced_and_no_other_file(tmp_path: Path) -> None:
    page = check_page(random_check(("a", "b")), MADE)
    target = tmp_path / "new" / "page.html"
    write_page(target, page)
    write_page(target, replace(page, title="Another title"))
    assert "Another title" in target.read_text(encoding="utf-8")
    other = tmp_path / "notes.html"
    other.write_text("<p>mine</p>", encoding="utf-8")
    for taken in (other, tmp_path):
        with pytest.raises(OutputExists, match="nothing was written"):
            ready(taken)
        with pytest.raises(OutputExists):
            write_page(taken, page)
    assert other.read_text(encoding="utf-8") == "<p>mine</p>"


def test_figures_that_do_not_exist_do_not_stop_a_page(pages: Path) -> None:
    """A zero delta has no cosine, one row no interval, a lone adapter no partner."""
    found = random_check(("a", "b"))
    for pair in found["pairs"]:
        for key, value in pair.items():
            if isinstance(value, float):
                pair[key] = None
        pair["modules"] = []
    assert "–" in render(check_page(found, MADE))
    alone = foreseen(1, pages / "alone.html").path.read_text(encoding="utf-8")
    assert "What the sum of a does" in alone
    assert 'id="disturbance"' not in alone


@pytest.mark.parametrize("end", [None, float("inf")])
def test_a_share_without_an_interval_has_none(end: float | None) -> None:
    rows = [
        {"weights": {"a": w}, "domain": "x", "nll": 2.0 - w, "nll_low": end, "nll_high": end,
         "interference": 1.0 - w, "interference_low": end, "interference_high": end}
        for w in (0.0, 1.0)
    ]  # fmt: skip
    known = Predictions.from_json({"adapters": ["a"], "domains": ["x"], "predictions": rows})
    assert share_text(known.least(known.naive)) == "100 %"
    assert share_text(known.share(known.base, "x")) == "0 %"


@pytest.mark.parametrize("kind", ["check", "three", "tune", "study"])
def test_a_page_tells_no_folder_of_the_machine(page_of: PageOf, kind: str) -> None:
    """What is said of the base is its name; only a command holds the paths that were typed."""
    said = page_of(kind).read_text(encoding="utf-8").partition('id="data">')[0]
    said = re.sub(r'<code id="made-command">.*?</code>', "", said, flags=re.S)
    assert "tiny" in said
    assert not re.search(r"/home/|/tmp/", said)


def test_a_base_in_a_folder_is_called_by_its_name() -> None:
    given = ["/a/tiny", "~/b/tiny/", "C:\\m\\tiny", "org/tiny", "smollm2", "runs/tiny"]
    assert [public(name) for name in given] == [*["tiny"] * 3, *given[3:]]


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    names = ["=1+1", "+1", "-1", "@x", "\tx", "plain", 'quo"te', "a,b"]
    text = csv_text(["name", "value"], [[n, -1.5] for n in names])
    assert visible_on_page(text) == text
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["name", "value"]
    assert [row[0] for row in rows[1:]] == [f"'{n}" for n in names[:5]] + names[5:]
    held = {"all": [{"name": "a", "ends": [-1.5, -0.5], "words": ["-x", "y"]}]}
    assert csv_of(held, "all") == "name,ends,words\na,-1.5;-0.5,'-x;y\n"
    assert {row[1] for row in rows[1:]} == {"-1.5"}


def test_the_file_of_correlations_holds_both_ends_of_every_interval() -> None:
    rng = np.random.default_rng(0)
    many, few = (correlate(*rng.normal(size=(2, n))) for n in (20, 3))
    assert few.pearson_interval is None
    found = [
        FigureCorrelation(figure="cosine", among="pairs", **vars(few)),
        FigureCorrelation(figure="norm", among="all", **vars(many)),
    ]
    table = tournament_table(found)
    rows = list(csv.DictReader(io.StringIO(csv_text(*table.csv))))
    for kind in ("pearson", "spearman", "slope", "intercept"):
        ends = [float(rows[1][f"{kind}_{end}"]) for end in ("low", "high")]
        assert tuple(ends) == getattr(many, f"{kind}_interval")
        assert rows[0][f"{kind}_low"] == rows[0][f"{kind}_high"] == ""
        assert float(rows[1][kind]) == getattr(many, kind)
    assert not any(key.endswith("interval") for key in rows[0])


def test_modules_lie_by_layer_and_kind() -> None:
    names = ["model.layers.10.attn.q", "model.layers.9.attn.q", "model.layers.9.mlp.up", "lm_head"]
    grid = modules_grid(names)
    (only,) = grid["maps"]
    assert only["corner"] == "layer"
    assert only["rows"] == ["–", "9", "10"]
    assert only["columns"] == ["attn.q", "mlp.up", "lm_head"]
    assert grid["at"] == [[0, 2, 0], [0, 1, 0], [0, 1, 1], [0, 0, 2]]


def test_a_text_encoder_and_a_u_net_have_maps_of_their_own_and_rows_by_what_differs() -> None:
    layer = "lora_te_text_model_encoder_layers_{}_self_attn_{}_proj"
    te = [layer.format(n, m) for n in (0, 11) for m in "kq"]
    block = "lora_unet_{}_attentions_1_transformer_blocks_0_attn2_to_{}"
    names = ("down_blocks_0", "mid_block", "up_blocks_3")
    unet = [block.format(at, m) for at in names for m in "kq"]
    grid = modules_grid([*te, *unet, "lora_unet_conv_in"])
    encoder, denoiser = grid["maps"]
    assert encoder == {
        "corner": "lora_te_text_model_encoder_layers …",
        "rows": ["0", "11"],
        "columns": ["self_attn_k_proj", "self_attn_q_proj"],
    }
    assert denoiser["corner"] == "lora_unet …"
    assert denoiser["rows"] == ["–", *(f"{n}_attentions_1_transformer_blocks_0" for n in names)]
    assert denoiser["columns"] == ["attn2_to_k", "attn2_to_q", "lora_unet_conv_in"]
    assert grid["at"][-1] == [1, 0, 2]


def test_layers_are_together_however_late_they_are_seen_to_have_a_kind_in_common() -> None:
    names = ["a.0.p", "a.1.q", "b.0.r", "a.0.q"]
    grid = modules_grid(names)
    assert [held["rows"] for held in grid["maps"]] == [["0", "1"], ["0"]]
    assert [held["columns"] for held in grid["maps"]] == [["p", "q"], ["r"]]
    assert [held["corner"] for held in grid["maps"]] == ["a …", "b …"]
    block = "down_{}_attn_{}_inner_blocks_{}_ff_net_0_proj"
    small = [block.format(d, a, 0) for d in (0, 1) for a in (0, 1)]
    others = [f"down_{d}_attn_{a}_proj_in" for d in (0, 1) for a in (0, 1)]
    (one,) = modules_grid([*small, *others])["maps"]
    assert one["rows"] == ["0_attn_0", "0_attn_1", "1_attn_0", "1_attn_1"]
    assert one["columns"] == ["inner_blocks_0_ff_net_0_proj", "proj_in"]
    many = [f"down_0_attn_0_inner_blocks_0_attn{k}_to_q" for k in (1, 2)]
    (one,) = modules_grid([*small, *many, *others])["maps"]
    assert one["columns"] == ["…ff_net_0_proj", "…attn1_to_q", "…attn2_to_q", "proj_in"]
    large = [block.format(d, a, b) for d in (0, 1) for a in (0, 1) for b in (0, 1)]
    first, second = modules_grid([*large, *others])["maps"]
    assert first["rows"][:2] == [
        "0_attn_0_inner_blocks_0_ff_net_0",
        "0_attn_0_inner_blocks_1_ff_net_0",
    ]
    assert second["rows"] == ["0_attn_0", "0_attn_1", "1_attn_0", "1_attn_1"]
    assert modules_grid(["x", "y"])["maps"] == [
        {"corner": "layer", "rows": ["–"], "columns": ["x", "y"]}
    ]


def test_two_modules_never_share_a_cell() -> None:
    names = [f"layers.{n}.experts.{e}.{m}" for n in range(2) for e in range(3) for m in ("up", "w")]
    kohya = [f"lora_unet_down_{n}_attn_{m}" for n in range(2) for m in ("to_q", "to_k")]
    for held in (names, kohya, ["a", "b"]):
        cells = [tuple(cell) for cell in modules_grid(held)["at"]]
        assert len(set(cells)) == len(held)


def test_shades_grow_with_the_figure_and_keep_its_sign() -> None:
    scale = Scale("x", "", 1.0, 100.0, "+.1f", ())
    shades = [scale.shade(v) for v in (-1000, -10, -1, 0.5, 1, 3, 10, 100, 1000)]
    assert shades == sorted(shades)
    assert (shades[0], shades[2], shades[3], shades[4], shades[-1]) == (-1, 0, 0, 0, 1)
    assert scale.shade(None) == scale.shade(float("nan")) == 0


def test_figures_that_do_not_exist_are_dashes_and_minus_is_a_minus() -> None:
    assert figure(None) == figure(float("nan")) == perplexity_figure(None) == "–"
    assert figure(-1.25, "+.1f") == "−1.2"
    assert (change_text(0.01), change_text(3.21), change_text(-250.0)) == (
        "=",
        "▲ +3.2\u00a0%",
        "▼ −250\u00a0%",
    )
    assert change_text(3.4e7) == "▲ +3.4e+07\u00a0%"
