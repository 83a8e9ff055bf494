"""What the shell tells of adapters, Python tells: the same answer, from names or loaded objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.verbs.given import GIVEN, as_json, files, names, shell

import superpose
from superpose.cli.app import main
from superpose.errors import BadInput, BadSetting

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("based", [False, True], ids=["alone", "on a base"])
def test_check_tells_what_the_command_tells(
    given: Callable[..., Any], based: bool, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--base", tiny_base) if based else ()
    printed = shell(capsys, "check", *names(), *words)
    found = superpose.check(given(), base=tiny_base if based else None)
    assert as_json(found) == printed


def test_the_page_of_a_check_is_that_of_the_command(tmp_path: Path) -> None:
    from superpose.report import write_page

    found = superpose.check(names())
    assert superpose.check(*names()).pairs == found.pairs
    assert len(repr(found)) < 600
    assert repr(found).startswith("<Checked>\n  ")
    pair = found.pairs[0]
    verdict = f"  {pair.a} + {pair.b}: {pair.judgement.verdict}. "
    assert any(line.startswith(verdict) for line in repr(found).splitlines())
    write_page(tmp_path / "python.html", found.page())
    with pytest.raises(SystemExit):
        main(["check", *names(), "--html", "shell.html"])
    of_python, of_shell = (
        Path(n).read_text(encoding="utf-8") for n in ("python.html", "shell.html")
    )
    assert "<title>sums and coins: unrelated" in of_python
    verdict = found.pairs[0].judgement.reason.split(":")[0]
    assert verdict in of_python
    assert verdict in of_shell
    assert "superpose check sums coins --html shell.html" in of_shell


@pytest.mark.parametrize("given", GIVEN)
def test_diff_tells_what_the_command_tells(
    given: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["diff", *names(), "--tolerance", "0.5", "--json"])
    assert end.value.code == 1
    found = superpose.diff(*given(), tolerance=0.5)
    assert {"schema": 1, **as_json(found)} == json.loads(capsys.readouterr().out)
    assert not found.same
    assert superpose.diff(given()[0], "sums").same


@pytest.mark.parametrize("given", GIVEN)
def test_info_tells_what_the_command_tells(
    given: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = shell(capsys, "info", "coins")
    found = superpose.info(given()[1])
    assert as_json(found) == printed
    assert "coins" in found._repr_html_()


def test_one_adapter_is_nothing_to_compare() -> None:
    for alone in ("sums", ["sums"], superpose.load("sums"), [superpose.load("sums")]):
        with pytest.raises(BadInput, match="one adapter alone has nothing"):
            superpose.check(alone)
    with pytest.raises(BadInput, match="no adapter was named"):
        superpose.check([])


def test_a_tolerance_is_named_as_python_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadSetting, match=r"^tolerance: tolerance is -1"):
        superpose.diff("sums", "coins", tolerance=-1)
    with pytest.raises(SystemExit):
        main(["diff", *names(), "--tolerance", "-1"])
    assert "error: --tolerance: tolerance is -1" in capsys.readouterr().err


def test_targets_that_no_layer_has_are_named_as_python_names_them(tiny_base: Path) -> None:
    with pytest.raises(BadSetting, match=r"^targets: no layer of .* is called `w9`"):
        superpose.extract(tiny_base, tiny_base, 2, targets="o_proj, w9")


@pytest.mark.parametrize("loaded", [False, True], ids=["names", "objects"])
def test_extract_writes_what_the_command_writes(
    loaded: bool, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    superpose.bake(tiny_base, names(":0.5"), "tuned")
    options = ("--rank", 2, "--targets", "o_proj", "--dtype", "float16")
    printed = shell(capsys, "extract", tiny_base, "tuned", "-o", "found", *options)
    written = files(Path("found"))
    base: Any = tiny_base
    if loaded:
        from superpose.model import load_base

        base = load_base(tiny_base)
    writing = superpose.Writing(dtype="float16", force=True)
    told: list[tuple[float, float | None, str]] = []
    found = superpose.extract(
        base, "tuned", 2, targets=["o_proj"], out="found", writing=writing,
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert as_json(found) == printed
    assert files(Path("found")) == written
    assert told[-1][0] == told[-1][1]
    assert told[-1][2] == "extract tuned"
    assert "wrote" in found._repr_html_()
    in_memory = superpose.extract(base, Path("tuned"), 2, targets="o_proj")
    assert in_memory.written is None
    assert "output" not in in_memory.to_json()
    assert superpose.diff(in_memory.adapter, "found").same
