"""What the site's own scripts do: formulas, docstrings, pages that are made, and the last look."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from tests.script_modules import script_module

from superpose.interference import VERDICTS, borders as at
from superpose.landscape import advice, basis, fitting, polynomial
from superpose.landscape.predictors import PREDICTORS

ROOT = Path(__file__).resolve().parent.parent.parent


HOLDS, HOOKS, DOCSTRINGS = (
    script_module(f"site_{name}") for name in ("holds", "hooks", "docstrings")
)


def test_a_formula_becomes_mathml_inline_and_as_a_block() -> None:
    page = (
        r'<p>so <span class="arithmatex">\(a &lt; b\)</span></p>'
        r'<div class="arithmatex">\[\sqrt{x}\]</div>'
    )
    made = HOOKS.on_page_content(page)
    assert "arithmatex" not in made
    assert made.count("<math") == 2
    assert "&lt;" in made or "&#x0003C;" in made  # and no bare `<`
    assert "<msqrt>" in made


def test_arguments_of_a_docstring_become_a_list_and_its_mathematics_no_tags() -> None:
    text = (
        "Give <x, y> of two deltas.\n\n"
        "x, y: of one shape, see `<code>`. rank: at least 1. Raises ValueError for others.\n\n"
        "    sum(<x, y>)\n"
    )
    assert DOCSTRINGS.as_markdown(text, {"x", "y", "rank"}) == (
        "Give &lt;x, y> of two deltas.\n\n"
        "- `x`, `y`: of one shape, see `<code>`.\n- `rank`: at least 1.\n\n"
        "Raises ValueError for others.\n\n"
        "    sum(<x, y>)\n"
    )


def test_every_package_of_the_library_but_the_command_line_has_its_page() -> None:
    titles = {title for _, title, _ in HOOKS.reference_pages()}
    packages = {p.parent.name for p in (ROOT / "src" / "superpose").glob("*/__init__.py")}
    alone = {"arguments", "errors", "option"}  # one file, and no part of another room
    assert titles == {f"superpose.{name}" for name in (packages | alone) - {"cli"}}


def test_a_notebook_cell_is_shown_with_what_it_gave() -> None:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "text": ["one\n"]},
        {"data": {"text/html": ["<b>two</b>"], "text/plain": ["2"]}},
    ]
    cell = {"cell_type": "code", "source": ["print(1)\n", "2"], "outputs": outputs}
    assert HOOKS.notebook(cell) == (
        "```python\nprint(1)\n2\n```\n\n```text\none\n```\n\n<div><b>two</b></div>"
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages without a fault, but for the reference that it does not have."""
    (tmp_path / "a.html").write_text(
        '<link rel="canonical" href="https://example.org/a.html">'
        '<a href="b.html#here">b</a> <a href="https://example.org">out</a><img src="p.svg">'
    )
    (tmp_path / "b.html").write_text('<h1 id="here">b</h1>')
    (tmp_path / "p.svg").write_text("<svg/>")
    (tmp_path / "style.css").write_text("a {background: url(p.svg)}")
    header = b"# Sphinx inventory version 2\n# zlib\n"
    (tmp_path / "objects.inv").write_bytes(header + zlib.compress(b""))
    return tmp_path


def faults(site: Path) -> list[str]:
    return [fault for fault in HOLDS.shortfalls(site) if "the reference has no" not in fault]


def test_a_site_without_a_fault_passes(site: Path) -> None:
    assert faults(site) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            '<script src="https://example.org/x.js"></script>',
            "c.html loads https://example.org/x.js",
        ),
        ('<link rel="stylesheet" href="//example.org/x.css">', "c.html loads //example.org/x.css"),
        ("<style>@import 'https://example.org/x.css'</style>", "c.html has a style that loads"),
        ('<a href="missing.html">x</a>', "c.html links to missing.html"),
        ('<a href="b.html#there">x</a>', "c.html links to b.html#there"),
        ('<span class="arithmatex">x</span>', "c.html has a formula that is not set"),
    ],
)
def test_a_fault_of_a_page_is_named(site: Path, content: str, fault: str) -> None:
    (site / "c.html").write_text(content)
    (found,) = faults(site)
    assert found.startswith(fault)


def test_a_public_name_that_the_reference_lacks_is_named(site: Path) -> None:
    assert "the reference has no superpose.load" in list(HOLDS.shortfalls(site))


def test_the_settings_leave_nothing_to_be_fetched() -> None:
    """No fonts; the theme's other ways to fetch (emoji, social cards) are no part of it."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text
    assert not any(word in text for word in ("https://", "emoji", "social", "analytics"))


def test_the_mathematics_states_the_constants_of_the_code() -> None:
    """What was measured and may be measured anew: the page follows."""
    text = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    assert f"at most {polynomial.BEND} of its" in text
    assert rf"\left( {polynomial.BEND}\, G_i" in text
    assert f"measured nowhere, {polynomial.AWAY} of the gain where" in text
    assert f"their weights come to {polynomial.FULL} or more" in text
    assert rf"\Bigl( {polynomial.AWAY}\, G_i" in text
    assert f"a share of {polynomial.CROSS} of what several others do together" in text
    assert rf"\bigl( {polynomial.CROSS}\, H_i" in text
    assert f"is {basis.OWN_SQUARE}." in text
    assert fitting.GRADIENT_WEIGHT == 0.5, "the page says that a slope counts half"
    for share in (advice.KEPT, advice.MOSTLY_KEPT, advice.LITTLE):
        assert f"from {share}" in " ".join(text.split())


def test_the_mathematics_states_every_predictor_with_its_formula_and_source() -> None:
    text = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    for each in PREDICTORS:
        papers = ", ".join(f"[{n}](https://arxiv.org/abs/{n})" for n in each.source)
        assert f"| {each.name} | ${each.formula}$ | {each.says} | {papers} |\n" in text


def test_the_mathematics_states_every_border_between_two_readings() -> None:
    """And every verdict that there is, in the order in which they are weighed."""
    text = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    section = " ".join(text.partition("## The reading of a pair")[2].partition("\n## ")[0].split())
    for said in (
        f"lies {at.CLEAR_OF_CHANCE:g} standard deviations or more from 0",
        rf"exceeds 1 by ${at.SPREAD:g} \sqrt{{8 / M}}$",
        f"p below {at.SYSTEMATIC:g}",
        f"cosine of {at.STANDS_OUT_LEAST:g} or more, {at.STANDS_OUT_CHANCE:g} of its own floors, "
        f"and {at.STANDS_OUT:g} times",
        f"cosine from {at.COPY:g} (to -{at.COPY:g})",
        f"cosine from {at.NEARLY_COPY:g} |",
        f"overlap from {at.CONTAINED:g})",
        f"cosine to {at.CANCELLING:g} |",
        f"cosine from {at.ONE_RUN:g}, input overlap from {at.ONE_RUN_INPUTS:g}",
        f"norm ratio from {at.DROWNED:g}",
        f"cosine from {at.LARGE:g} (to -{at.LARGE:g})",
        f"cosine from {at.FAINT:g}, beyond",
        f"output overlap from {at.CROWDED:g}",
        f"beyond chance, below {at.FAINT:g}",
    ):
        assert said in section
    assert (at.FEW, at.UNEVEN, round(at.EQUAL_NORMS - 1, 9)) == (1 / 5, 0.5, 0.01)
    assert at.MIXED == 1 / 3, "the page says a third"
    rows = re.findall(r"\| ([^|]+) \| [^|]+ \|", section)[2:]
    named = [word for row in rows for word in row.replace(" (opposing)", "").split(", ")]
    assert named == [verdict for verdict in VERDICTS if "opposing" not in verdict]
