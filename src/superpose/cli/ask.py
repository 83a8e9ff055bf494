"""`superpose ask`: what base, singles and the superposition answer, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.base_apart import base_apart
from superpose.cli.options import Adapters, BaseOrNot, Csv, Json, Quiet, Weights
from superpose.cli.unfold import unfolded
from superpose.verbs.ask import Answering
from superpose.verbs.settings import Loading

__all__ = ["ask"]


@unfolded
def ask(
    *,
    base: BaseOrNot,
    adapters: Adapters = None,
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="A question; repeatable.")],
    answering: Answering,
    loading: Loading,
    weights: Weights = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Ask base, each adapter alone, and their weighted sum the same question.

    \b
    Example:
      superpose ask smollm2 math finance:0.5 --prompt "What is 12 times 7?"
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.ask import ask as ask_all

    with bars(quiet=quiet) as progress:
        found = ask_all(
            *base_apart(base, adapters),
            prompt,
            answering,
            loading,
            weights=weights,
            progress=progress,
        )
    answer(found, json)
