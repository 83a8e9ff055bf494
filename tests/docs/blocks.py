"""The fenced blocks of a page, and what becomes of each.

What becomes of a block is told by its language, and by a comment on the line before it:

    bash      run with `bash -eu`; it has to succeed
    python    run in one namespace with the Python blocks before it
    console   `$ ` lines are run; the lines under each are its output (`...` stands for anything)
    text      a picture, a formula or what a command printed once, not run

    <!-- test: slow -->            needs the base model: run by a test marked slow on a smaller one
                                   (`smaller_base.py`), and by `make test-pages` on all of it
    <!-- test: whole -->           as `slow`, and takes long on any model: run by `make test-pages`
                                   alone
    <!-- test: in .ci/run -->      too long for a test: each of its lines stands in that file, and
                                   runs from there
    <!-- test: needs lm-eval -->   needs another project's program: run where that is installed, and
                                   looked at in any case (`tools.py`)
    <!-- test: exit 1 -->          has to end with that code instead of 0
    <!-- test: file study.yaml --> not run but written, for the blocks after it
"""

from __future__ import annotations

import doctest
import re
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ELSEWHERE", "MARKS", "RUN", "Block", "blocks_of", "commands_of", "run", "run_block"]

RUN = {"bash", "python", "console"}
ELSEWHERE = {"in", "needs"}
MARKS = {"slow", "whole", "exit", "file"} | ELSEWHERE


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its mark and the mark's argument, its text."""

    page: str
    line: int
    language: str
    mark: str
    argument: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}, line {self.line}"


def blocks_of(markdown: str, page: str = "page") -> list[Block]:
    """All fenced blocks of a page, in order."""
    pattern = re.compile(
        r"^(?:<!-- test: (?P<mark>\w+)(?: (?P<argument>[^\n]*?))? -->\n)?"
        r"```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(
            page=page,
            line=markdown.count("\n", 0, found.start()) + 1,
            language=found["language"].strip(),
            mark=found["mark"] or "",
            argument=found["argument"] or "",
            text=found["text"],
        )
        for found in pattern.finditer(markdown)
    ]


def commands_of(block: Block) -> list[str]:
    """Give a shell block's commands, one a line, without comments."""
    joined = block.text.replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [" ".join(line.split()) for line in lines if line]


def run(blocks: Iterable[Block], *, without: Collection[str] = ()) -> None:
    """Run a page's blocks in order, but for those with one of these marks."""
    names: dict[str, Any] = {}
    for block in blocks:
        if block.mark not in without:
            run_block(block, names)


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run one block; names: those of the Python blocks before it, to which it adds its own."""
    expected_exit = int(block.argument) if block.mark == "exit" else 0
    if block.mark == "file":
        Path(block.argument).parent.mkdir(parents=True, exist_ok=True)
        Path(block.argument).write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        exec(compile(block.text, block.where, "exec"), names)
    elif block.language == "console":
        _run_console(block.text, expected_exit, block.where)
    elif block.language == "bash":
        _shell(block.text, expected_exit, block.where)


def _shell(code: str, expected_exit: int, where: str) -> str:
    """Run shell code as a reader would; its standard output."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == expected_exit, f"{where}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def _run_console(text: str, expected_exit: int, where: str) -> None:
    """Run a transcript: each `$ ` line, with what stands under it as the output it has to give."""
    same = doctest.OutputChecker().check_output
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        said = _shell(command, expected_exit, where)
        assert same(shown, said, flags), f"{where}: {command}\nshown:\n{shown}\nsaid:\n{said}"
