"""How parameters are called and completed: the words that an option takes stand in its help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer.core

__all__ = ["also_called", "completed", "said_plainly"]

ALSO = {"--out": "--output", "--rank": "-r", "--weights": "-w"}
"""What else an option is called, wherever it is."""

_Item = vars(typer.core)["CompletionItem"]
"""What a shell is told of a word; typer has a click of its own, or not."""


def also_called(parameters: Sequence[Any]) -> None:
    """Give a command's options the other names that they have everywhere."""
    taken = {name for parameter in parameters for name in parameter.opts}
    for parameter in parameters:
        if parameter.param_type_name == "option":
            more = [ALSO[name] for name in parameter.opts if name in ALSO]
            parameter.opts += [name for name in more if name not in taken]


def completed(parameter: Any) -> None:
    """Let a shell complete an option's words: those of its metavar `mean|worst`, or merge methods.

    What is written large (`none|sum|ADAPTER`) stands for something else and is no word.
    """
    metavar = parameter.metavar or ""
    words = [word for word in metavar.split("|") if word.islower()]
    if words:
        parameter.shell_complete = lambda _, incomplete: _items(words, incomplete)
    elif parameter.name == "method":
        parameter.shell_complete = lambda _, incomplete: _items(_methods(), incomplete)


def said_plainly(parameter: Any) -> None:
    """Call an argument in usage what its metavar calls it; typer puts braces around."""
    if parameter.param_type_name != "argument" or not parameter.metavar:
        return

    def called(*_: Any, usage: bool = False, **__: Any) -> str:
        brackets = usage and not parameter.required
        return f"[{parameter.metavar}]" if brackets else str(parameter.metavar)

    parameter.make_metavar = called


def _items(words: Sequence[str], incomplete: str) -> list[Any]:
    return [_Item(word) for word in words if word.startswith(incomplete)]


def _methods() -> list[str]:
    from superpose.compose import METHODS

    return list(METHODS)
