"""What is asked of a tool and what it answers: plain values that cross a pipe.

Standard library only, because this also runs in the interpreters of other tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

__all__ = ["Answer", "CannotAsk", "Task", "Tool", "Way"]


@dataclass(frozen=True)
class Task:
    """One sum to write.

    base: a transformers folder. adapters: PEFT folders, with a task weight each. ranks: the
    adapters' ranks, for the tools that want to be told one. out: a path where nothing stands yet;
    its parent is the folder of the case, in which a tool may leave other files. auto: the class of
    transformers that reads the base.
    """

    case: str
    base: str
    adapters: tuple[str, ...]
    weights: tuple[float, ...]
    ranks: tuple[int, ...]
    out: str
    auto: str = "AutoModelForCausalLM"

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Task:
        """Read what `to_line` wrote."""
        fields = json.loads(line)
        for name in ("adapters", "weights", "ranks"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    def at(self, out: Path) -> Task:
        """Give the same task with another output."""
        return replace(self, out=str(out))


@dataclass(frozen=True)
class Answer:
    """What became of a task.

    status: `written` (path is the folder), `refused` (the tool ended with message) or `cannot`
    (its interface has no way to ask for this; message says why).
    """

    status: str
    message: str = ""
    path: str = ""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Answer:
        """Read what `to_line` wrote."""
        return cls(**json.loads(line))


class CannotAsk(Exception):
    """A tool's interface has no way to say what is wanted, for example a task weight."""


@dataclass(frozen=True)
class Way:
    """One way to use a tool.

    call: how it is called, as its own documentation shows it. writes: `adapter` or `model`.
    base: whether it reads the base model. run: writes the sum and gives the folder; raises
    CannotAsk, or whatever the tool raises. aim: what it aims at, where that is not the sum.
    """

    name: str
    call: str
    writes: str
    base: bool
    run: Callable[[Task], Path]
    aim: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool and the ways to use it. distribution: its name on the package index."""

    name: str
    distribution: str
    ways: tuple[Way, ...]
