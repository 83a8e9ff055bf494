"""One place ends every command: messages on standard error, an exit code a script can rely on."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from superpose import errors
from superpose._version import __version__
from superpose.cli import app as program
from superpose.cli.console import err, note, out, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Superpose

ROOT = Path(__file__).resolve().parent.parent.parent


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command `body`, whose function is the one given, and tell how it ended."""

    def run_body(body: Callable[[], None]) -> Ended:
        module = types.ModuleType("body_of_a_test")
        vars(module)["body"] = body
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(program.COMMANDS, "body", f"{module.__name__}:body")
        with pytest.raises(SystemExit) as end:
            program.main(["body"])
        captured = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, captured.out, captured.err)

    return run_body


def test_done_is_zero_and_the_answer_is_alone_on_standard_output(
    run: Callable[..., Ended],
) -> None:
    def body() -> None:
        note("note", "by the way")
        print_json({"cosine": float("nan"), "modules": (1, float("inf")), "name": "naïve"})

    ended = run(body)
    assert ended.code == 0
    assert ended.out == (
        '{\n  "schema": 1,\n  "cosine": null,\n  "modules": [\n    1,\n    null\n  ],\n'
        '  "name": "naïve"\n}\n'
    )
    assert ended.err == "note: by the way\n"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.BadInput, 2),
        (errors.Refused, 2),
        (errors.DifferentBase, 2),
        (errors.OutputExists, 2),
        (errors.MissingBase, 3),
        (errors.MissingExtra, 3),
        (errors.DoesNotHold, 1),
    ],
)
def test_each_error_has_its_exit_code_and_one_message(
    run: Callable[..., Ended], kind: type[errors.SuperposeError], code: int
) -> None:
    def body() -> None:
        raise kind("the rank is [bold]0[/bold]", where="a.json: r", hint="Write 4.")

    ended = run(body)
    assert ended == (code, "", "error: a.json: r: the rank is [bold]0[/bold]\nWrite 4.\n")


def test_every_error_class_is_covered_by_the_tree_of_exit_codes() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    codes = {kind.exit_code for kind in classes if issubclass(kind, errors.SuperposeError)}
    assert codes == {1, 2, 3}


def test_a_warning_of_ours_is_one_line_and_does_not_stop_the_work(
    run: Callable[..., Ended],
) -> None:
    def body() -> None:
        warnings.warn("names differ in owner only", errors.SuperposeWarning, stacklevel=1)
        print_json(1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        ended = run(body)
    assert ended == (0, "1\n", "warning: names differ in owner only\n")


def test_a_warning_of_others_is_left_as_it_is(run: Callable[..., Ended]) -> None:
    def body() -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with pytest.warns(DeprecationWarning, match="old"):
        assert run(body) == (0, "", "")


def test_a_missing_extra_is_answered_with_the_command_that_brings_it(
    run: Callable[..., Ended],
) -> None:
    def body() -> None:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    ended = run(body)
    assert ended.code == 3
    assert ended.out == ""
    assert "torch" in ended.err
    assert 'pip install "superpose[study]"' in ended.err
    assert "Traceback" not in ended.err


def test_a_missing_module_of_our_own_is_a_bug_and_keeps_its_traceback(
    run: Callable[..., Ended],
) -> None:
    def body() -> None:
        raise ModuleNotFoundError("No module named 'superpose.nowhere'", name="superpose.nowhere")

    with pytest.raises(ModuleNotFoundError):
        run(body)


def test_a_bug_keeps_its_traceback(run: Callable[..., Ended]) -> None:
    def body() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(body)


def test_an_interrupt_ends_with_130(run: Callable[..., Ended]) -> None:
    def body() -> None:
        raise KeyboardInterrupt

    ended = run(body)
    assert ended.code == 130
    assert "Traceback" not in ended.err


def test_every_optional_dependency_of_pyproject_is_known_to_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {
        re.split(r"[<>=\[]", line)[0]: extra
        for extra in ("extract", "gguf", "hub", "library", "lm-eval", "slurm", "ray", "study")
        for line in extras[extra]
    }
    importable = {"lm-eval": "lm_eval", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    assert set(errors.EXTRA_OF) == {importable.get(name, name) for name in names}
    for name, extra in errors.EXTRA_OF.items():
        package = {theirs: ours for ours, theirs in importable.items()}.get(name, name)
        assert any(line.startswith(package) for line in extras[extra])


def test_a_wrong_command_line_ends_with_2_and_names_the_likely_command(
    superpose: Superpose,
) -> None:
    ended = superpose("chekc")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "'check'" in ended.stderr


def test_the_version_is_the_package_version(superpose: Superpose) -> None:
    ended = superpose("--version")
    assert (ended.returncode, ended.stdout) == (0, f"superpose {__version__}\n")


def test_help_lists_every_command_with_a_line_that_is_not_cut(superpose: Superpose) -> None:
    ended = superpose("--help")
    assert ended.returncode == 0
    listed = ended.stdout.partition("Commands:\n")[2]
    assert re.findall(r"^  (\w+) +\S", listed, re.MULTILINE) == list(program.COMMANDS)
    assert "..." not in listed


def test_a_reader_that_went_away_ends_the_program_without_a_traceback() -> None:
    body = "import superpose.cli.console as c; c.print_json(list(range(100_000)))"
    code = f"""
import sys, types
from superpose.cli import app
module = types.ModuleType("body")
def body():
    {body}
module.body = body
sys.modules["body"] = module
app.COMMANDS["body"] = "body:body"
app.main(["body"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")


def test_a_table_in_a_pipe_is_not_cut_to_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out.cache_clear()
    out().print("x" * 100)
    out.cache_clear()
    assert capsys.readouterr().out == "x" * 100 + "\n"


def test_a_long_path_in_a_message_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    err.cache_clear()
    err().print("/folder" * 40 + "/here: done", markup=False)
    err.cache_clear()
    assert capsys.readouterr().err == "/folder" * 40 + "/here: done\n"
