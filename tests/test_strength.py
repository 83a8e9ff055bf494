"""What measures the tests' strength: changes of code are real ones, and are noticed or not."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from tests.script_modules import SCRIPTS, script_module


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return script_module("mutants")


TEXT = '''
"""Docstring."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from somewhere import Other

__all__ = ["f"]

LEAST: dict[str, int | None] = {"a": 3}


def f(x: int | Other, y: bool = True) -> int:
    """Docstring."""
    assert x != 7, "never"
    if x < 2 and not y:
        raise ValueError(f"{x} is less than {2}")
    if x == 5:
        return -x
    kept = [each for each in range(x) if each]
    kept.append(x * 2)
    return sum(kept)
'''


def changes(module: ModuleType, text: str) -> list[str]:
    return [each.what for each in module.mutations(ast.parse(text))]


def test_every_change_is_one_and_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script_module("mutations")
    found = changes(module, TEXT)
    texts = {ast.unparse(module.mutated(TEXT, number)) for number in range(len(found))}
    assert len(texts) == len(found)
    assert ast.unparse(ast.parse(TEXT)) not in texts
    for text in texts:
        compile(text, "mutant", "exec")


def test_the_changes_of_a_module_are_these_and_no_others() -> None:
    found = Counter(each.rpartition(": ")[2] for each in changes(script_module("mutations"), TEXT))
    assert found == {
        "'a' becomes another text": 1,
        "3 becomes 4": 1,
        "True becomes False": 1,
        "Lt becomes LtE": 1,
        "2 becomes 3": 2,
        "And becomes Or": 1,
        "the not is left out": 1,
        "the condition is negated": 2,  # of `and`, and of the comprehension
        "the statement is left out": 2,
        "Eq becomes NotEq": 1,
        "5 becomes 6": 1,
        "the minus is left out": 1,
        "None is returned": 2,
        "Mult becomes Div": 1,
    }


def test_tests_are_chosen_the_own_first_then_the_quick_ones_within_the_budget(
    script: ModuleType,
) -> None:
    seconds = {"tests/lowrank/a": 20.0, "tests/lowrank/b": 1.0, "tests/x/c": 0.5, "tests/x/d": 15.0}
    assert script._chosen("lowrank", seconds, seconds) == (
        ["tests/lowrank/b", "tests/lowrank/a", "tests/x/c"],
        21.5,
    )
    assert script._chosen("lowrank", ["e"], {"e": 99.0}) == (["e"], 99.0)


@pytest.mark.hard
def test_what_a_test_holds_is_killed_and_what_none_holds_survives(
    script: ModuleType, tmp_path: Path
) -> None:
    """In a library of two functions, one with a strong test, one with a weak one, one with none."""
    pytest.importorskip("coverage")
    source = tmp_path / "src" / "superpose" / "lowrank"
    source.mkdir(parents=True)
    (source.parent / "__init__.py").write_text("")
    functions = "\n\n".join(f"def {name}(x):\n    return x + 2" for name in ("held", "loose", "un"))
    (source / "__init__.py").write_text(functions + "\n\nPOWER = 3 * int('2')\n")
    for place in script.TESTS["lowrank"]:
        path = tmp_path / place
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text("")
    (tmp_path / "tests" / "lowrank" / "test_it.py").write_text(
        "from superpose.lowrank import POWER, held, loose\n\n\n"
        "def test_held():\n    assert (held(1), POWER) == (3, 6)\n\n\n"
        "def test_loose():\n    assert loose(0) is not None\n"
    )
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    record = tmp_path / "record.json"
    record.write_text('{"rooms": {}, "explained": {"a": "why"}}')
    command = [sys.executable, "scripts/mutants.py", "--room", "lowrank", "--record", str(record)]
    paths = f"{tmp_path / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )

    ended = run()
    assert ended.returncode == 1, ended.stderr
    assert "less than 85% were killed in lowrank" in ended.stdout
    found = json.loads(record.read_text())
    assert found["explained"] == {"a": "why"}
    assert found["rooms"]["lowrank"]["tried"] == 11  # `int('X2')` cannot be imported
    assert found["rooms"]["lowrank"]["killed"] == 6
    names = Counter(name.rpartition(": ")[2] for name in found["rooms"]["lowrank"]["survivors"])
    assert names == {"Add becomes Sub": 2, "2 becomes 3": 2, "None is returned": 1}
    tests = tmp_path / "tests" / "lowrank" / "test_it.py"
    tests.write_text(tests.read_text().replace("is not None", "== 2"))
    ended = run("--again")
    assert ended.returncode == 1, ended.stderr
    now = json.loads(record.read_text())["rooms"]["lowrank"]
    assert (now["tried"], now["killed"], now["killed at first"]) == (11, 8, 6)
    assert {name.partition(": ")[0] for name in now["survivors"]} == {"superpose.lowrank:8"}
