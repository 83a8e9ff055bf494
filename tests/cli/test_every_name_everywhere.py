"""One hostile name in every place that takes one, and in every output that says it.

No output is broken by it, none makes a terminal, a browser, a spreadsheet or LaTeX obey, and those
for machines give it back as it was.
"""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import superpose
from superpose.adapter import Adapter, Delta
from superpose.cli.console import print_json
from superpose.cli.show import show
from superpose.report.latex import latex_text
from superpose.report.paper import write_paper
from superpose.shown import Framed, Part
from superpose.shown.csv_table import csv_of
from superpose.shown.notebook import notebook_html
from superpose.studies.summary import Summary
from superpose.studies.tables import study_parts

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.conftest import WriteAdapter

PRINTED = "-a<script>h()<img src=x onerror=h()>|`b`[x](y){{7*7}}{0}\"'&amp;$(id)*e* _f_]]>--%"
HOSTILE = PRINTED + "\n# t\r\u202e\x1b[31m\x07\x9b2J\u2028=1"
"""A leading dash; HTML, Markdown, templates, shells, LaTeX; lines, colours, a turned direction."""

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
ROOT = Path(__file__).resolve().parents[2]
PLACES = ("adapter", "base", "module")


@pytest.fixture
def two(write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Two adapters of one base with the name in a place; the current folder is theirs."""

    def write(place: str) -> list[Any]:
        q = "model.layers.0.q_proj"
        settings: dict[str, Any] = {
            "base": {"base_model": HOSTILE},
            # In the name of a tensor controls are refused by name: below.
            "module": {"modules": (q, f"model.layers.0.{PRINTED}")},
        }.get(place, {})
        names = (HOSTILE if place == "adapter" else "first", "second")
        folders = [write_adapter(name, seed=n, **settings) for n, name in enumerate(names)]
        monkeypatch.chdir(folders[0].parent)
        return folders

    return write


def strings(value: Any) -> Iterator[str]:
    """Every string that JSON holds, keys as well."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


class Tags(HTMLParser):
    """The tags of a page, and what its scripts are that are no data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.code = ""
        self._in_code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs), attrs
        self._in_code = tag == "script" and dict(attrs).get("type") != "application/json"

    def handle_data(self, data: str) -> None:
        self.code += data if self._in_code else ""

    def handle_endtag(self, tag: str) -> None:
        self._in_code = False


def holds_as_html(text: str) -> None:
    found = Tags(text)
    assert "img" not in found.tags
    assert "h()" not in found.code
    assert not OBEYED.findall(text)


def holds_as_json(text: str, name: str) -> None:
    assert any(name in one for one in strings(json.loads(text)))
    assert not OBEYED.findall(text)


def holds_as_csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    assert not OBEYED.findall(text)
    words = [field for row in rows for field in row if re.search("[a-z]", field)]
    assert not any(field.startswith(("=", "-", "+", "@")) for field in words)


def holds_as_markdown(text: str) -> None:
    body = text.split("---\n", 2)[2]
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    found = Tags(page).tags
    assert not {"script", "img", "a", "em", "strong"} & set(found), page
    assert found.count("h1") == 1
    for table in page.split("<table>")[1:]:
        body_rows = table.split("</table>")[0].split("<tr>")[1:]
        assert len({row.count("<td") + row.count("<th") for row in body_rows}) == 1
    assert not OBEYED.findall(text)


@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_text_in_whatever_a_command_writes(
    place: str, two: Callable[..., list[Any]], run: Run, tmp_path: Path
) -> None:
    a, b = two(place)
    name = PRINTED if place == "module" else HOSTILE
    for command in (["check", a, b], ["info", a], ["diff", a, b], ["info", a, b]):
        plain, as_json, table = (run(*command, *word) for word in ([], ["--json"], ["--csv"]))
        assert {plain.code, as_json.code, table.code} <= {0, 1}
        assert not OBEYED.findall(plain.out + plain.err + as_json.err + table.err)
        if place != "base" or "info" in command:  # which alone names the base model
            holds_as_json(as_json.out, name)
        holds_as_csv(table.out)
    assert run("check", a, b, "--html", "page.html").code == 0
    holds_as_html(Path("page.html").read_text(encoding="utf-8"))
    files = ["--sarif", "found.sarif", "--junit", "found.xml"]
    assert run("check", a, b, "--fail-on", "cosine>-1", *files).code == 1
    assert not OBEYED.findall(Path("found.sarif").read_text(encoding="utf-8"))
    (log,) = json.loads(Path("found.sarif").read_text(encoding="utf-8"))["runs"]
    (message,) = (one["message"]["text"] for one in log["results"])
    assert "{" not in message.replace("{{", "")
    assert "](" not in message.replace("\\](", "")
    assert len(ET.parse("found.xml").findall(".//testcase")) == 1
    assert run("add", a, b, "-o", "out").code == 0
    holds_as_markdown((tmp_path / "out/README.md").read_text(encoding="utf-8"))
    assert run("index", a, b, "-o", "library", "--html", "index.html").code == 0
    holds_as_html(Path("index.html").read_text(encoding="utf-8"))
    holds_as_html(superpose.check(a, b)._repr_html_())
    assert superpose.load("out").parents[0].name == superpose.load(a).name


def test_a_name_in_an_error_is_text(run: Run, two: Callable[..., list[Any]]) -> None:
    a, b = two("adapter")
    for words in (
        ["info", f"{a}-none"], ["check", a, f"{b}{HOSTILE}"], ["check", a, b, "--fail-on", HOSTILE],
        ["add", f"{a}:{HOSTILE}", b, "-o", "out"], ["check", a, b, f"--{HOSTILE}"], [HOSTILE],
    ):  # fmt: skip
        ended = run(*words)
        assert ended.code in (2, 3), words
        assert not OBEYED.findall(ended.out + ended.err)
        assert "Traceback" not in ended.err


def test_the_name_of_a_tensor_has_no_control_in_it(run: Run, write_adapter: WriteAdapter) -> None:
    ended = run("info", write_adapter("a", modules=(f"model.layers.0.{HOSTILE}",)))
    assert ended.code == 2
    assert not OBEYED.findall(ended.err)
    assert "adapter_model.safetensors: the name of tensor" in ended.err


def test_a_name_in_the_metadata_of_a_gguf_file_is_text(run: Run, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    base = tmp_path / "base"
    base.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "num_attention_heads": 4}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    factor = np.ones((8, 2), np.float32)
    delta = {"model.layers.0.mlp.up_proj": Delta.of(factor, factor.T)}
    total = Adapter(delta, HOSTILE, HOSTILE) + Adapter(delta, "b", HOSTILE)
    path = tmp_path / "sum.gguf"
    superpose.save(total, path, base=base)
    assert len(gguf.GGUFReader(path).tensors) == 2
    for words in ([], ["--json"]):
        ended = run("info", path, *words)
        assert ended.code == 0
        assert not OBEYED.findall(ended.out + ended.err)
    assert superpose.load(path).parents[0].name == HOSTILE


def renamed(value: Any) -> Any:
    """A study's figures with the name for one of its domains."""
    if isinstance(value, dict):
        return {renamed(key): renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    return value.replace(DOMAIN, HOSTILE) if isinstance(value, str) else value


DOMAIN = "medicine"


def test_a_domain_s_name_is_text_wherever_a_study_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = json.loads((ROOT / "docs/results/smollm2/summary.json").read_text(encoding="utf-8"))
    assert DOMAIN in recorded["settings"]["domains"]
    summary = Summary.from_json(renamed(recorded))
    holds_everywhere(study_parts(summary), summary, capsys)
    for file in write_paper(summary, tmp_path / "paper"):
        if file.suffix == ".pdf":
            continue
        text = file.read_text(encoding="utf-8")
        assert not OBEYED.findall(text), file
        if file.suffix == ".svg":
            tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
            assert not {"script", "img"} & tags
        if file.suffix == ".csv":
            holds_as_csv(text)
        if file.suffix == ".tex":
            rows = [line for line in text.splitlines() if line[:1] != "%"]
            assert all(row.startswith("\\") or row.endswith(r" \\") for row in rows), file
    left = re.sub(r"\\(text\w+\{\}|[#$%&_{}])", "", latex_text(HOSTILE))
    assert not set(left) & set("\\#$%&_{}~^<>|")


def test_a_question_and_its_answer_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from superpose.measure.answer import Answer
    from superpose.measure.sweep import Weighting
    from superpose.verbs.ask import Answers

    weighting = Weighting("sum", {HOSTILE: 1.0}, (1.0,))
    answers = Answers(HOSTILE, (Answer(HOSTILE, weighting, HOSTILE),), {})
    holds_everywhere(answers.shown(), answers, capsys)


def holds_everywhere(
    parts: Sequence[Part], found: Framed, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a terminal, a notebook, as JSON and as CSV."""
    written = io.StringIO()
    show(parts, Console(file=written, width=100))
    assert not OBEYED.findall(written.getvalue())
    holds_as_html(notebook_html(parts))
    capsys.readouterr()
    print_json(found.to_json())
    holds_as_json(capsys.readouterr().out, HOSTILE)
    holds_as_csv(csv_of(found.to_json(), found.TABLE))
