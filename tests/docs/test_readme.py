"""Every block of README.md runs, in order, where adapters `math`, `medicine`, `finance` lie.

What becomes of a fenced block is told by its language, and by a comment on the line before it:

    bash      run with `bash -eu`; it has to succeed
    python    run in one namespace with the Python blocks before it
    console   `$ ` lines are run; the lines under each are its output (`...` stands for anything)
    text      a picture or a formula, not run

    <!-- test: slow -->            needs the base model: run by the test marked slow
    <!-- test: in .ci/run -->      too long for a test: each of its lines stands in that file, and
                                   runs from there
    <!-- test: exit 1 -->          has to end with that code instead of 0
    <!-- test: file study.yaml --> not run but written, for the blocks after it
"""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "README.md"
RUN = {"bash", "python", "console"}
MARKS = {"slow", "in", "exit", "file"}
# SmolLM2-135M's sizes, so that the adapters also fit the base model the README speaks of.
LAYERS = 30
SIZES = {
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.down_proj": (576, 1536),
}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its mark and the mark's argument, its text."""

    line: int
    language: str
    mark: str
    argument: str
    text: str


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    pattern = re.compile(
        r"^(?:<!-- test: (?P<mark>\w+)(?: (?P<argument>[^\n]*?))? -->\n)?"
        r"```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
        re.MULTILINE | re.DOTALL,
    )
    return [
        Block(
            line=markdown.count("\n", 0, found.start()) + 1,
            language=found["language"].strip(),
            mark=found["mark"] or "",
            argument=found["argument"] or "",
            text=found["text"],
        )
        for found in pattern.finditer(markdown)
    ]


BLOCKS = blocks_of(README.read_text(encoding="utf-8"))


def write_readme_adapter(folder: Path, seed: int) -> None:
    """A rank-4 adapter of SmolLM2-135M with small random factors, as PEFT would have saved it."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        for name, (rows, columns) in SIZES.items():
            key = f"base_model.model.model.layers.{layer}.{name}"
            a = rng.normal(size=(4, columns)) / columns**0.5
            b = rng.normal(size=(rows, 4)) * 0.001
            tensors[f"{key}.lora_A.weight"] = a.astype(np.float32)
            tensors[f"{key}.lora_B.weight"] = b.astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": [name.rpartition(".")[2] for name in SIZES],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_image_lora(path: Path, seed: int) -> None:
    """A LoRA of a UNet's attention, as kohya's training would have saved it."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    for part in ("q", "k", "v"):
        module = f"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_{part}"
        for side, shape in (("down", (8, 320)), ("up", (320, 8))):
            values = rng.normal(size=shape) * 0.02
            tensors[f"{module}.lora_{side}.weight"] = values.astype(np.float16)
        tensors[f"{module}.alpha"] = np.array(4, np.float16)
    save_file(tensors, path, {"ss_base_model_version": "sd_v1"})


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the README's reader stands in."""
    for seed, name in enumerate(("math", "medicine", "finance")):
        write_readme_adapter(tmp_path / name, seed)
    for seed, name in enumerate(("cats", "dogs")):
        write_image_lora(tmp_path / f"{name}.safetensors", seed)
    rows = [
        {"question": f"What is {n} plus {n}?", "answer": f"{n} plus {n} is {2 * n}."}
        for n in range(24)
    ]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    for name in ("questions.jsonl", "math.jsonl"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    return tmp_path


def shell(code: str, expected_exit: int, where: str) -> str:
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


def run_console(text: str, expected_exit: int, where: str) -> None:
    """Run a transcript: each `$ ` line, with what stands under it as the output it has to give."""
    same = doctest.OutputChecker().check_output
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        said = shell(command, expected_exit, where)
        assert same(shown, said, flags), f"{where}: {command}\nshown:\n{shown}\nsaid:\n{said}"


def run_block(block: Block, names: dict[str, Any]) -> None:
    where = f"README.md, line {block.line}"
    expected_exit = int(block.argument) if block.mark == "exit" else 0
    if block.mark == "file":
        Path(block.argument).write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        exec(compile(block.text, where, "exec"), names)
    elif block.language == "console":
        run_console(block.text, expected_exit, where)
    elif block.language == "bash":
        shell(block.text, expected_exit, where)


def test_each_block_says_what_becomes_of_it() -> None:
    for block in BLOCKS:
        where = f"README.md, line {block.line}"
        assert block.language in RUN | {"text"} or block.mark == "file", where
        assert block.mark in MARKS | {""}, where
    fences = README.read_text(encoding="utf-8").count("\n```")
    assert fences == 2 * len(BLOCKS), "a fence is not closed, or is indented"


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.mark == "in"],
    ids=lambda block: f"line {block.line}",
)
def test_a_block_that_runs_elsewhere_stands_there(block: Block) -> None:
    there = (ROOT / block.argument).read_text(encoding="utf-8").splitlines()
    commands = [line.partition("  #")[0].strip() for line in block.text.splitlines()]
    for command in filter(None, commands):
        assert command in (line.strip() for line in there), f"{command} is not in {block.argument}"


@pytest.mark.usefixtures("workplace")
def test_the_blocks_that_need_no_base_model_run_in_order() -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if block.mark not in {"slow", "in"}:
            run_block(block, names)


@pytest.mark.slow
@pytest.mark.usefixtures("workplace")
def test_all_blocks_run_in_order() -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        if block.mark != "in":
            run_block(block, names)


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
        run_block(Block(1, "bash", "", "", "false\necho no > ran\n"), {})
    assert not (workplace / "ran").exists()
