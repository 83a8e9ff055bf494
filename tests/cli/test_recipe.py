"""The recipe in CONTRIBUTING for a command gives a verb and a command that agree."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import superpose
from superpose.cli import app

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the verb; its command is in the table."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## To add a command\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    modules = {}
    for room, block in zip(("verbs", "cli"), blocks, strict=True):
        name = f"superpose.{room}.norms"
        modules[room] = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[room])
        exec(block, vars(modules[room]))
    monkeypatch.setitem(app.COMMANDS, "norms", "superpose.cli.norms:norms")
    return modules["verbs"]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give what the command prints."""

    def run(*args: object) -> str:
        with pytest.raises(SystemExit) as ended:
            app.main(["norms", *map(str, args)])
        assert ended.value.code == 0
        return capfd.readouterr().out

    return run


def test_the_command_of_the_recipe_prints_what_its_verb_gives(
    verb: ModuleType, said: Callable[..., str], write_adapter: WriteAdapter
) -> None:
    a, b = write_adapter("a"), write_adapter("b", seed=1)
    found = verb.norms([a, superpose.load(b)])
    assert found.norms == {name: superpose.load(path).norm() for name, path in (("a", a), ("b", b))}
    assert json.loads(said(a, b, "--json")) == {"schema": 1, **found.to_json()}
    assert said(a, b).splitlines() == [f"{name}: {norm:.4g}" for name, norm in found.norms.items()]
    assert f"a: {found.norms['a']:.4g}" in found._repr_html_()


@pytest.mark.usefixtures("verb")
def test_its_help_shows_an_example(said: Callable[..., str]) -> None:
    assert "superpose norms math medicine" in said("--help")
