"""Every block of README.md and of the pages of docs/ runs, in order: `blocks.py` says how.

Each page starts in a folder of its own, where `conftest.py` put adapters named `math`, `medicine`
and `finance`, and what else a page may take as given.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from tests.docs.blocks import ELSEWHERE, MARKS, RUN, Block, blocks_of, commands_of, run, run_block
from tests.docs.tools import TOOLS, faults_of, is_here

from superpose.formats import load
from superpose.formats.vllm import vllm_max_rank
from superpose.serving.settings import RANK

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {
    name: blocks
    for path in FILES
    if (blocks := blocks_of(path.read_text(encoding="utf-8"), name := str(path.relative_to(ROOT))))
}
BLOCKS = [block for blocks in PAGES.values() for block in blocks]
SLOW = [
    name
    for name, blocks in PAGES.items()
    if any(b.mark == "slow" or (b.mark == "needs" and is_here(b.argument)) for b in blocks)
]
QUICK = [
    name
    for name, blocks in PAGES.items()
    if any(block.language in RUN and block.mark in {"", "exit"} for block in blocks)
]
ALL = [
    name
    for name, blocks in PAGES.items()
    if any(block.language in RUN and block.mark not in {"file", *ELSEWHERE} for block in blocks)
]


def marked(mark: str) -> pytest.MarkDecorator:
    """Parametrise by the blocks with a mark."""
    found = [block for block in BLOCKS if block.mark == mark]
    return pytest.mark.parametrize("block", found, ids=lambda block: block.where)


def test_each_block_says_what_becomes_of_it() -> None:
    for block in BLOCKS:
        assert block.language in RUN | {"text"} or block.mark == "file", block.where
        assert block.mark in MARKS | {""}, block.where


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_fence_of_a_page_belongs_to_a_block(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    fences = f"\n{text}".count("\n```") + text.count("\n    ```")
    assert fences == 2 * len(blocks_of(text)), "a fence is not closed, or is indented"


@marked("in")
def test_a_block_that_runs_elsewhere_stands_there(block: Block) -> None:
    there = (ROOT / block.argument).read_text(encoding="utf-8").splitlines()
    for command in commands_of(block):
        assert command in (line.strip() for line in there), f"{command} is not in {block.argument}"


@marked("needs")
def test_a_block_for_another_program_calls_it_with_options_that_it_has(block: Block) -> None:
    assert not faults_of(block)


@pytest.mark.usefixtures("small_workplace")
@pytest.mark.parametrize(
    "page", [pytest.param(name, marks=pytest.mark.again if name in SLOW else ()) for name in QUICK]
)
def test_the_blocks_that_need_no_base_model_run_in_order(page: str) -> None:
    run(PAGES[page], without={"slow", "whole", "in", "needs"})


def run_all(page: str, *, without: Collection[str] = ()) -> None:
    absent = [b for b in PAGES[page] if b.mark == "needs" and not is_here(b.argument)]
    run((block for block in PAGES[page] if block not in absent), without={"in", *without})


@pytest.mark.slow
@pytest.mark.apart
@pytest.mark.usefixtures("small_workplace")
@pytest.mark.parametrize("page", SLOW)
def test_all_blocks_run_in_order(page: str) -> None:
    """On a smaller base model, in seconds."""
    run_all(page, without={"whole"})


@pytest.mark.hard
@pytest.mark.apart
@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("page", ALL)
def test_all_blocks_run_in_order_on_the_whole_model(page: str) -> None:
    run_all(page)


@pytest.mark.usefixtures("workplace")
def test_vllm_is_told_the_rank_of_the_adapter_that_it_is_given() -> None:
    """What the page calls `--max-lora-rank` serves each `--lora-modules NAME=FOLDER` written."""
    blocks = PAGES["docs/how-to/vllm.md"]
    run(blocks, without={"slow", "whole", "in", "needs"})
    starts = [c.split() for b in blocks if b.mark == "needs" for c in commands_of(b)]
    by_name, written = [int(words[words.index("--max-lora-rank") + 1]) for words in starts]
    served = [word.partition("=")[2] for word in starts[1] if "=" in word]
    assert served
    assert max(vllm_max_rank(load(folder).rank) or 0 for folder in served) == written
    said = [word for b in blocks for c in commands_of(b) for word in c.split() if "=" in word]
    assert f"{RANK}={by_name}" in said


def test_the_runner_notices_a_block_that_fails(workplace: Path) -> None:
    page = (
        "a\n```console\n$ echo one\none\n$ echo two\nthree\n```\n"
        "<!-- test: exit 3 -->\n```bash\nexit 3\n```\n"
    )
    console, leaving = blocks_of(page)
    assert (console.line, console.language) == (2, "console")
    assert (leaving.mark, leaving.argument) == ("exit", "3")
    with pytest.raises(AssertionError, match="echo two"):
        run_block(console, {})
    run_block(leaving, {})
    with pytest.raises(AssertionError, match="line 1"):
        run_block(Block("page", 1, "bash", "", "", "false\necho no > ran\n"), {})
    assert not (workplace / "ran").exists()


def test_an_option_that_a_program_does_not_have_is_noticed() -> None:
    def needs(command: str) -> Block:
        return Block("page", 1, "bash", "needs", "vllm", f"{command}\n")

    assert not faults_of(needs("vllm serve base --enable-lora  # a comment"))
    assert faults_of(needs("vllm serve base --lora-weight 0.5")) == [
        f"--lora-weight was not read in {TOOLS['vllm'].source}"
    ]
    assert faults_of(needs("vllm bench base"))
