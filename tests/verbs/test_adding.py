"""What the shell can do with adapters, Python can do: the same files and the same answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.verbs.given import GIVEN, as_json, files, names, shell

import superpose
from superpose.cli.app import main
from superpose.compose import BestRank
from superpose.errors import BadInput, BadSetting, DoesNotHold

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ((), {}),
        (("--rank", 2), {"rank": 2}),
        (("--for", "vllm"), {"engine": "vllm"}),
        (("--dtype", "float16"), {"writing": superpose.Writing(dtype="float16")}),
        (("--weights", "1,-0.5"), {"weights": [1.0, -0.5]}),
        (("--weights", "1,-0.5"), {"weights": {"sums": 1.0, "coins": -0.5}}),
    ],
)
def test_add_writes_what_the_command_writes(
    given: Callable[..., Any], words: tuple[object, ...], settings: dict[str, Any],
    tiny_base: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    weight = "" if "--weights" in words else ":0.5"
    printed = shell(
        capsys, "add", *names(weight), "-o", "both", "--base", tiny_base,
        "--verify", tiny_base, *words,
    )  # fmt: skip
    written = files(Path("both"))
    for path in Path("both").iterdir():
        path.unlink()
    Path("both").rmdir()
    found = superpose.add(given(weight), "both", base=tiny_base, verify=tiny_base, **settings)
    found.insist()
    assert as_json(found) == printed
    assert files(Path("both")) == written
    assert "wrote both: sums" in found._repr_html_()


@pytest.mark.parametrize("given", GIVEN)
def test_merge_gives_what_add_writes(given: Callable[..., Any]) -> None:
    written = superpose.add(names(":0.5"), "written", rank=2)
    merged = superpose.merge(given(":0.5"), method=BestRank(rank=2))
    assert merged.made == written.adapter.made
    superpose.save(merged, "merged")
    weights = "adapter_model.safetensors"
    assert files(Path("merged"))[weights] == files(Path("written"))[weights]


@pytest.mark.parametrize("given", GIVEN)
def test_bake_and_verify_do_what_the_commands_do(
    given: Callable[..., Any], tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = shell(capsys, "bake", tiny_base, *names(":0.5"), "-o", "model")
    written = files(Path("model"))
    found = superpose.bake(tiny_base, given(":0.5"), "model", force=True)
    assert as_json(found) == printed
    assert files(Path("model")) == written
    proved = shell(capsys, "verify", tiny_base, *names(":0.5"), "model")
    proof = superpose.verify(tiny_base, given(":0.5"), "model")
    assert as_json(proof) == proved
    proof.insist()
    assert "model is the sum" in proof._repr_html_()


def test_verify_takes_a_loaded_base_and_a_loaded_result(tiny_base: Path) -> None:
    from superpose.model import load_base

    superpose.add(names(), "both")
    total = superpose.load("sums") + superpose.load("coins")
    for result in ("both", superpose.load("both"), total):
        assert superpose.verify(load_base(tiny_base), names(), result).holds
    other = superpose.verify(tiny_base, names(":2"), total)
    assert not other.holds
    assert "is not the sum" in str(other)
    with pytest.raises(DoesNotHold, match=r"sums \+ coins`: is not the sum"):
        other.insist()


def test_one_adapter_needs_no_list(tiny_base: Path) -> None:
    alone = superpose.bake(tiny_base, "coins:0.5", "model")
    assert superpose.verify(tiny_base, {"coins": 0.5}, "model").holds
    assert alone.adapter.name == "0.5*coins"
    assert superpose.merge(superpose.load("sums")).name == "sums"


def test_a_setting_is_named_as_python_names_it(
    tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadSetting, match=r"^rank: rank is 0"):
        superpose.add(names(), "both", rank=0)
    with pytest.raises(SystemExit):
        main(["add", "sums", "coins", "-o", "both", "--rank", "0"])
    assert "error: --rank: rank is 0" in capsys.readouterr().err
    with pytest.raises(BadSetting, match=r"^engine: 'ollama' is no engine"):
        superpose.add(names(), "both", engine="ollama")
    with pytest.raises(SystemExit):
        main(["add", "sums", "coins", "-o", "both", "--for", "ollama"])
    assert "error: --for: 'ollama' is no engine" in capsys.readouterr().err
    with pytest.raises(BadSetting, match=r"^weights: task weights are given twice"):
        superpose.merge(names(":0.5"), [1.0, 2.0])
    with pytest.raises(BadSetting, match=r"^verify: .* made in memory"):
        superpose.add([2 * superpose.load("sums")], "both", verify=tiny_base)
    with pytest.raises(BadInput, match="no such"):
        superpose.add(["nothing"], "both")
    assert not Path("both").exists()
