"""Programs of other projects that pages call: what can be said of a call without running it.

A block marked `needs TOOL` runs where TOOL is installed. Elsewhere it is held against what was read
in the tool's own sources: an option that is not in this list is a mistake in the page, or has to be
looked up there before it comes in here.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from dataclasses import dataclass

from tests.docs.blocks import Block, commands_of

__all__ = ["TOOLS", "Tool", "faults_of", "is_here"]


@dataclass(frozen=True)
class Tool:
    """program: how it is called. options: all that pages use. source: where they were read.

    Of a library there is no program: its block is Python, which has to compile.
    """

    program: tuple[str, ...]
    options: frozenset[str]
    source: str


TOOLS = {
    "duckdb": Tool((), frozenset(), "DuckDB: docs, Querying Parquet Files; docs, Unnesting"),
    "vllm": Tool(
        ("vllm", "serve"),
        frozenset({"--enable-lora", "--lora-modules", "--max-lora-rank", "--port"}),
        "vLLM: docs/features/lora.md, entrypoints/openai/cli_args.py; 0.33.0: config/lora.py",
    ),
    "llama-server": Tool(
        ("llama-server",),
        frozenset({"--lora", "--lora-scaled", "--model", "--port"}),
        "llama.cpp as in llama-cpp-python 0.3.36: tools/server/README.md",
    ),
    "llama_cpp": Tool((), frozenset(), "llama-cpp-python 0.3.36, where `make test-llama` runs it"),
}


def is_here(tool: str) -> bool:
    """Whether a tool can be run on this machine."""
    if not TOOLS[tool].program:
        return importlib.util.find_spec(tool) is not None
    return shutil.which(TOOLS[tool].program[0]) is not None


def faults_of(block: Block) -> list[str]:
    """Say what is wrong with a block that needs a tool; nothing where all is well."""
    tool = TOOLS.get(block.argument)
    if tool is None:
        return [f"no such tool: {block.argument}"]
    if not tool.program:
        compile(block.text, block.where, "exec")
        return []
    faults = []
    for command in commands_of(block):
        words = shlex.split(command)
        if tuple(words[: len(tool.program)]) != tool.program:
            faults.append(f"not a call of {' '.join(tool.program)}: {command}")
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        faults += [f"{word} was not read in {tool.source}" for word in sorted(given - tool.options)]
    return faults
