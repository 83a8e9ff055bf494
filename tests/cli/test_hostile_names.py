"""Whatever stands where a name is expected, a command ends with a message, not a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import WriteAdapter

LONG = "n" * 300
NAMES = (LONG, f"{LONG}/{LONG}", f"{LONG}.jsonl", "~nosuchuser/x", "", " ", "\n", "-")
COMMANDS = (
    "info {}", "check a {}", "diff {} a", "add a {} -o out", "add a b -o out --weights {}",
    "add a b -o out --base {}", "verify {} a b", "verify smollm2 a {}", "bake {} a -o out",
    "train {} rows.jsonl -o out", "train smollm2 {} -o out", "eval {} a --data rows.jsonl",
    "eval smollm2 a --data {}", "study {}", "push {} org/x --dry-run",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_cannot_be_is_told_and_never_a_traceback(
    command: str, run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a").parent
    write_adapter("b", seed=1)
    monkeypatch.chdir(folder)
    for name in NAMES:
        words = [word.format(name) if "{" in word else word for word in command.split()]
        ended = run(*words)
        assert ended.code in (2, 3), (name, ended)
        assert "error" in ended.err.lower()
    assert not (folder / "out").exists()


def test_forty_task_weights_are_too_many_for_two_adapters(
    run: Run, write_adapter: WriteAdapter
) -> None:
    folders = [write_adapter(name, seed=seed) for seed, name in enumerate("ab")]
    weights = ",".join(["1.00000"] * 40)
    ended = run("add", *folders, "-o", folders[0].parent / "out", "--weights", weights)
    assert ended.code == 2
    assert "40" in ended.err


def test_a_folder_that_is_gone_or_closed_is_told(
    run: Run, write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, gone = write_adapter("good"), tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (["info", "here"], ["add", good, "-o", "out"], ["check", good, "here"]):
        ended = run(*words)
        assert ended.code in (2, 3), (words, ended)
        assert ended.err.startswith("error: ")


HOSTILE = "x\x1b[31m\x07\x9b2J\u202ex"
"""Colours, a bell, a cleared screen, and another direction of reading."""


@pytest.mark.parametrize(
    "command",
    ["info {}", "info {}-none", "check a {}", "check a {} --html {}.html", "diff a {}",
     "add a {} -o sum-{}", "add a {} -o {}", "check a {} --fail-on {}", "study {}.yaml"],
)  # fmt: skip
def test_no_name_makes_a_terminal_obey(
    command: str, run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_adapter("a").parent)
    write_adapter(HOSTILE, seed=1)
    ended = run(*(word.format(HOSTILE) for word in command.split()))
    said = ended.out + ended.err
    assert "x" in said
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_no_name_of_what_is_being_done_makes_a_terminal_obey(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import io

    from rich.console import Console

    from superpose.cli import console

    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, width=200)
    monkeypatch.setattr(console, "err", lambda: terminal)
    with console.bars() as tell:
        tell(1.0, 2.0, f"train {HOSTILE}")
    assert "train x\\x1b[31m\\x07" in file.getvalue()
    assert not set(file.getvalue()) & set("\x07\x9b\u202e")
