"""`superpose tune`: the best task weights for one adapter that serves several domains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from superpose.cli.html import Html, Pages
from superpose.cli.options import AdapterNames, Base, CalibrationData, Json, Quiet, SameBase
from superpose.cli.unfold import unfolded
from superpose.verbs.settings import Calibration, Loading
from superpose.verbs.tune import Goal

if TYPE_CHECKING:
    from superpose.verbs.tune import Tuning

__all__ = ["tune"]


@unfolded
def tune(
    base: Base,
    adapters: AdapterNames,
    data: CalibrationData,
    goal: Goal,
    questions: Calibration,
    loading: Loading,
    same_base: SameBase = False,
    html: Html = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the task weights of a sum that serves all domains, and say what they are worth.

    The forecast's best weights in closed form, then a few Newton steps on the calibration rows;
    never worse there than the naive sum, the average or any adapter alone. `--by layer` and finer
    fit more weights and hold a quarter of the rows out, so that they do not overfit.

    \b
    Example:
      superpose tune smollm2 math law -d math.jsonl -d law.jsonl --json > weights.json
      superpose add math law --weights weights.json -o both
    """
    from superpose.cli.console import bars, out, print_json
    from superpose.verbs.tune import tune as tune_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = tune_all(
            base, adapters, data, goal, questions, loading, same_base=same_base, progress=progress
        )
    with pages.showing(found):
        if json:
            print_json(found.to_json())
        else:
            _print_tuning(out(), found)


def _print_tuning(console: Any, found: Tuning) -> None:
    """Print everything that was measured, the best first, and what writes it."""
    from rich.text import Text

    from superpose.adapter import formula
    from superpose.cli.tables import plain_table

    tuned, finer = found.tuned, found.finer
    table = plain_table()
    table.title = "Perplexity of the answers on the calibration rows"
    table.add_column("task weights")
    for domain in tuned.domains:
        table.add_column(Text(domain), justify="right")
    table.add_column("objective", justify="right")
    for point in sorted(tuned.points, key=lambda point: point.objective):
        weights = dict(zip(tuned.names, (round(w, 3) for w in point.weights), strict=True))
        cells = [f"{math.exp(min(nll, 700)):.3g}" for nll in point.nll]
        label = f"{point.method}: {formula(weights)}"
        table.add_row(Text(label), *cells, f"{point.objective:+.4f}")
    console.print(table)
    console.print(Text(f"Best: {found.command}"), soft_wrap=True)
    if finer is not None:
        console.print(
            f"{finer.groups} weights an adapter, by {finer.by}: {finer.start:+.4f} becomes "
            f"{finer.end:+.4f} on held-out rows. --json > weights.json has them, for "
            "superpose add --weights weights.json",
            markup=False,
        )
