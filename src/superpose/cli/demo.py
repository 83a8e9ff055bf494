"""`superpose demo`: the whole road on a real language model, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.beside import Html, Pages
from superpose.cli.options import Quiet

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results; goes on where it stood.")
    ] = Path("superpose-demo"),
    html: Html = None,
    json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train three adapters on a 135M-parameter model, add them, and see whether it worked.

    Three generated question sets (math, medicine, finance) on SmolLM2-135M-Instruct: one adapter
    each, a check of their weights, a forecast of every sum from a few rows, every sum (naive,
    average, with the weights that the forecast finds best, merged by regmean), the merged-data
    baseline of every subset, the perplexity of all of them beside the predicted one, and sample
    answers; all of it as a page too, page.html in the folder unless --html names another. Minutes
    on two cores, no network.

    \b
    Example:
      superpose demo --out superpose-demo
    """
    import superpose.studies.run  # noqa: F401 - torch is told of before the page's jinja2
    from superpose.cli.console import answer, bars, out as console, say, visible_in_terminal
    from superpose.verbs.demo import demo as run_demo

    pages = Pages(html or out / "page.html")
    with bars(quiet=quiet, percent=True) as progress:
        found = run_demo(out, progress=None if quiet else progress)
    with pages.showing(found):
        answer(found, json)
    if not json:
        following = "\n".join(f"  {command}" for command in found.commands)
        say("The same on your own questions: superpose study --help")
        console().print(
            visible_in_terminal(
                f"\nDone in {found.studied.seconds:.0f} s. Results: {out}/summary.json, "
                f"{out}/table.csv\nAs a page, to open in a browser: {pages.target}\n"
                "The sum of all three, for PEFT, vLLM and llama.cpp: "
                f"{found.superposition}\n"
                "Perplexity says how expected an answer is, not that it is right.\n\n"
                "What to type next; the last writes the adapter that regmean makes of all three:\n"
                f"{following}"
            ),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
