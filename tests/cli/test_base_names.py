"""A base model's name means one thing in every command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tests.base_names import KINDS, Named
from tests.cli.conftest import Run
from tests.conftest import WriteAdapter

from superpose.files import embedded

Called = Callable[[str], Named]
MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.o_proj")


@pytest.fixture
def math(write_adapter: WriteAdapter) -> Path:
    """An adapter of the tiny base model."""
    return write_adapter("math", modules=MODULES, width=32)


@pytest.mark.parametrize("kind", KINDS)
def test_bake_verify_and_extract_take_every_name(
    kind: str, base_called: Called, run: Run, math: Path, tmp_path: Path
) -> None:
    base, out = base_called(kind), tmp_path / "out"
    baked = run("bake", base.given, math, "-o", out, "--json", "--quiet")
    assert baked.code == 0, baked.err
    called = base.name if base.revision is None else f"{base.name}@{base.revision}"
    assert json.loads(baked.out)["base"] == called
    assert run("verify", base.given, math, out, "--quiet").code == 0
    assert run("verify", base.given, math, math, "--quiet").code == 0
    assert run("extract", base.given, out, "-o", tmp_path / "x", "--rank", 2).code == 0
    config = json.loads((tmp_path / "x" / "adapter_config.json").read_text())
    noted = config["base_model_name_or_path"], config.get("revision")
    assert noted == (base.name, base.revision)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_run_and_trained_by_every_name(
    kind: str,
    base_called: Called,
    run: Run,
    math: Path,
    tmp_path: Path,
    question_files: dict[str, Path],
) -> None:
    base = base_called(kind)
    asked = run("ask", base.given, math, "--prompt", "What?", "--max-new-tokens", 2)
    assert asked.code == 0, asked.err
    trained = run(
        "train", base.given, question_files["sums"], "-o", tmp_path / "t",
        "--targets", "q_proj", "--epochs", 1,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    config = json.loads((tmp_path / "t" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (base.name, base.revision)


@pytest.mark.parametrize("kind", KINDS)
def test_add_check_and_diff_take_every_name_as_base(
    kind: str, base_called: Called, run: Run, math: Path, tmp_path: Path
) -> None:
    base = base_called(kind)
    added = run("add", math, math, "--base", base.given, "-o", tmp_path / "both")
    assert added.code == 0, added.err
    assert run("diff", math, math, "--base", base.given).code == 0
    assert run("check", math, math, "--base", base.given).code == 0
    if kind == "smollm2":
        return
    assert run("add", math, math, "--base", base.given, "-o", tmp_path / "both.gguf").code == 0
    again = run("add", tmp_path / "both.gguf", "--base", base.given, "-o", tmp_path / "again")
    assert again.code == 0, again.err
    held = [load_file(tmp_path / name / "adapter_model.safetensors") for name in ("both", "again")]
    assert held[0].keys() == held[1].keys()


COMMANDS = {
    "add": "add {math} --base {base} -o {tmp}/out",
    "ask": "ask {base} {math} --prompt What?",
    "bake": "bake {base} {math} -o {tmp}/out",
    "check": "check {math} {math} --base {base}",
    "diff": "diff {math} {math} --base {base}",
    "eval": "eval {base} {math} --data {rows}",
    "extract": "extract {base} {model} -o {tmp}/out --rank 2",
    "extract tuned": "extract {model} {base} -o {tmp}/out --rank 2",
    "predict": "predict {base} {math} {math} --data {rows} --data {rows}",
    "train": "train {base} {rows} -o {tmp}/out",
    "verify": "verify {base} {math} {math}",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("./modle", "./modle: there is no such folder"),
        ("{model}/modle", "there is no such folder"),
        ("smolm2", "Did you mean `smollm2`?"),
    ],
)
def test_a_name_that_is_none_is_said_alike_by_every_command(
    command: str,
    given: str,
    said: str,
    run: Run,
    math: Path,
    tiny_base: Path,
    tmp_path: Path,
    question_files: dict[str, Path],
) -> None:
    places = {"math": math, "model": tiny_base, "tmp": tmp_path, "rows": question_files["sums"]}
    base = given.format(**places)
    ended = run(*(word.format(base=base, **places) for word in COMMANDS[command].split()))
    assert ended.code == 3, ended.err
    assert said in ended.err
    assert not (tmp_path / "out").exists()


def test_a_study_takes_a_folder_beside_it_and_smollm2_for_the_embedded_model(
    base_called: Called, tiny_base: Path, tmp_path: Path
) -> None:
    from superpose.studies.run import Study
    from superpose.studies.spec import StudySpec

    base_called("smollm2")
    beside = tmp_path / "studies"
    shutil.copytree(tiny_base, beside / "tiny")
    (beside / "smollm2").mkdir()
    domains = {n: {"data": "rows.jsonl"} for n in ("a", "b")}
    for given, name in {"tiny": str(beside / "tiny"), "smollm2": embedded.HUB_NAME}.items():
        spec = StudySpec.model_validate({"name": "x", "base": given, "domains": domains})
        study = Study(spec, tmp_path / "out", relative_to=beside)
        assert study.base.model.name_or_path == name
