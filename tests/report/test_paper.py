"""What a paper takes of a study: every table whole and right, every chart as on the page."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

import superpose
from superpose.report.charts import Chart
from superpose.report.drawing import Disc, Drawing, Filled, Word, drawing_of
from superpose.report.helvetica import text_width
from superpose.report.latex import latex_table, latex_text
from superpose.report.paper import write_paper
from superpose.report.pdf import pdf_bytes
from superpose.report.relation import relation_charts
from superpose.report.svg import svg_text
from superpose.shown import Cell, Column, Table
from superpose.studies.cells import TITLES
from superpose.studies.summary import Summary

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def summary() -> Summary:
    """The recorded study of real questions: three domains, three seeds, a forecast."""
    path = ROOT / "docs" / "results" / "smollm2" / "summary.json"
    return Summary.from_json(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def charts(summary: Summary) -> list[Chart]:
    return relation_charts(summary)


def test_every_table_has_its_figures_with_their_intervals(summary: Summary, tmp_path: Path) -> None:
    files = {path.name: path for path in write_paper(summary, tmp_path / "paper")}
    assert {"methods.tex", "methods.csv", "weights.tex", "weights.csv", "correlations.tex",
            "adapters.tex", "cosine.svg", "cosine.pdf", "references.bib"} <= set(files)  # fmt: skip
    whole = " + ".join(summary.whole)
    row = summary.methods_on(summary.whole, "union")["sum"]
    low, high = row.dppl_merged.ends or (0.0, 0.0)
    want = f"{row.dppl_merged.mean:+.1f} & [{low:+.1f}, {high:+.1f}]".replace("-", "$-$")
    text = files["methods.tex"].read_text(encoding="utf-8")
    (line,) = (x for x in text.splitlines() if x.startswith(f"{whole} & union & naive &"))
    assert want in line
    with files["methods.csv"].open(encoding="utf-8", newline="") as file:
        found = {(r["subset"], r["domain"], r["method"]): r for r in csv.DictReader(file)}
    held = found[whole, "union", TITLES["sum"]]
    assert float(held["change_merged_percent_low"]) == pytest.approx(low, abs=1e-3)
    with files["weights.csv"].open(encoding="utf-8", newline="") as file:
        weights = list(csv.DictReader(file))
    assert len(weights) == len(summary.points)
    for told, point in zip(weights, summary.points, strict=True):
        for key in ("rms_cosine", "output_overlap", "norm_ratio", "energy_ratio", "norm"):
            assert float(told[key]) == getattr(point, key)


def test_a_latex_table_has_as_many_fields_in_every_row_and_no_bare_sign(
    summary: Summary, tmp_path: Path
) -> None:
    for path in write_paper(summary, tmp_path):
        if path.suffix != ".tex":
            continue
        lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x[:1] != "%"]
        spec = re.fullmatch(r"\\begin\{(tabular|longtable)\}\{(.*)\}", lines[0])
        assert spec, lines[0]
        fields = len(re.sub(r"@\{ \}", "", spec[2]))
        rows = [line for line in lines if line.endswith(r" \\")]
        assert len(rows) > 1
        for row in rows:
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d)\}", row))
            assert len(re.findall(r"(?<!\\)&", row)) + 1 + spans == fields, row
            assert not re.search(r"(?<!\\)[%#_]", row)
            assert row.count("{") == row.count("}")
            assert row.count("$") % 2 == 0
        assert lines[-1] == rf"\end{{{spec[1]}}}"


def test_what_latex_takes_for_something_else_is_escaped() -> None:
    assert latex_text(r"a_b & 5 % #1 {x}~y^2\z") == (
        r"a\_b \& 5 \% \#1 \{x\}\textasciitilde{}y\textasciicircum{}2\textbackslash{}z"
    )
    assert latex_text("-1.5") == "$-$1.5"
    assert latex_text("q-proj ± 2") == r"q-proj $\pm$ 2"
    columns = (Column("name"), Column("x", form=""))
    long = Table("t", columns, tuple((Cell(str(n)), Cell("1", "-2 to 3")) for n in range(41)))
    text = latex_table(long)
    assert r"\begin{longtable}{lr@{ }l}" in text
    assert r"0 & 1 & [$-$2, 3] \\" in text


def _dots(chart: Chart) -> int:
    return sum(len(one.dots) for one in chart.dots)


def _samples(chart: Chart) -> int:
    return len(chart.dots)


def test_a_drawing_holds_every_point_and_nothing_beyond_its_edges(charts: list[Chart]) -> None:
    for chart in charts:
        drawing = drawing_of(chart)
        marks = [s for s in drawing.strokes if isinstance(s, Disc)]
        marks += [s for s in drawing.strokes if isinstance(s, Filled) and s.opacity == 1]  # type: ignore[misc]
        assert len(marks) == _dots(chart) + _samples(chart)
        words = [s for s in drawing.strokes if isinstance(s, Word)]
        assert {one.name for one in chart.dots} <= {word.text for word in words}
        for word in words:
            width = text_width(word.text, 8.0)
            start = word.at[0] - {"start": 0.0, "middle": 0.5, "end": 1.0}[word.anchor] * width
            assert -0.1 <= start <= start + width <= drawing.width + 0.1, word
            assert 0 <= word.at[1] <= drawing.height


def test_an_svg_stands_alone_and_has_the_chart_in_words(charts: list[Chart]) -> None:
    for chart in charts:
        root = ET.fromstring(svg_text(drawing_of(chart)))
        assert root.tag == f"{SVG}svg"
        assert root.findtext(f"{SVG}desc") == chart.says
        assert not [e for e in root.iter() if "class" in e.attrib or "style" in e.attrib]
        discs = sum(len(one.dots) + 1 for one in chart.dots if one.kind == "pairs")
        assert len(root.findall(f"{SVG}circle")) == discs


def test_a_pdf_is_one_page_whose_objects_lie_where_it_says(charts: list[Chart]) -> None:
    for chart in charts:
        drawing = drawing_of(chart)
        data = pdf_bytes(drawing)
        assert data == pdf_bytes(drawing_of(chart))
        assert data.startswith(b"%PDF-1.4")
        start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])  # type: ignore[index]
        assert data[start:].startswith(b"xref\n0 6\n")
        for number, place in enumerate(re.findall(rb"(\d{10}) 00000 n ", data[start:]), start=1):
            assert data[int(place) :].startswith(b"%d 0 obj\n" % number)
        length, content = re.search(
            rb"/Length (\d+) >>\nstream\n(.*)\nendstream", data, re.DOTALL
        ).groups()  # type: ignore[union-attr]
        assert int(length) == len(content)
        told = re.findall(rb"\((.*?)(?<!\\)\) Tj", content)
        words = [s.text for s in drawing.strokes if isinstance(s, Word)]
        assert len(told) == len(words)
        assert f"[0 0 {drawing.width:g} {drawing.height:g}]".encode() in data


def test_a_character_that_the_pdfs_font_lacks_breaks_nothing() -> None:
    data = pdf_bytes(
        Drawing("t", "s", 10, 10, (Word((1, 1), "數學 (a)\\"), Word((1, 2), "\u22121")))
    )
    assert b"(?? \\(a\\)\\\\) Tj" in data
    assert b"(\x961) Tj" in data


def test_what_is_cited_is_what_the_citation_file_says() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = told["references"]
    text = superpose.cite().bibtex
    flat = " ".join(text.split())
    for wanted in (told["title"], told["version"], paper["title"], paper["url"]):
        assert wanted in flat
    authors = " and ".join(author["family-names"] for author in paper["authors"])
    assert f"{{{authors}}}" in text
    assert text.count("{") == text.count("}")
