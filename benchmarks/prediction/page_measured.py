"""What was measured in the tournament, as Markdown: points, controls, rows, single losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prediction.markdown import nats, table

__all__ = ["CONTROLS", "group_name", "what_was_measured"]

CONTROLS = {
    "same-a": "adapters that start from the same A",
    "random": "the others replaced by random factors of the same norms in every module",
    "calibration": "adapters trained on the calibration rows alone, which predictors see again",
}

EMBEDDED = {
    "smollm2": " The embedded base is tuned for instructions, held in four bits (Q4_1) and "
    "dequantised, and asked without its chat template."
}


def what_was_measured(record: Mapping[str, Any]) -> Iterator[str]:
    """Say what the points are, what of each domain is scored, and what single adapters lose."""
    settings = record["tournament"]
    train, calibration, test = settings["rows"]
    lora = settings["lora"]
    yield "## What was measured\n"
    yield (
        f"Base `{settings['base']}`, {len(record['domains'])} domains, seeds "
        f"{', '.join(map(str, record['seeds']))}; rank {lora['rank']}, alpha {lora['alpha']:g}; "
        f"{train} training, {calibration} calibration and at least {test} test rows a domain of at "
        f"most {settings['max_tokens']} tokens.\n"
    )
    head = ["points", "number", "sums", "mean (nats)", "deviation", "least", "most", "harmed"]
    rows = [
        [group_name(name), str(found["n"]), str(found["sums"])]
        + [f"{found[key]:+.4f}" for key in ("mean", "spread", "least", "most")]
        + [f"{100 * found['harmed']:.0f} %"]
        for name, found in record["groups"].items()
        if found
    ]
    yield from table(head, rows)
    yield (
        "The controls, one seed each: "
        + "; ".join(f"*{group_name(name)}*, {what}" for name, what in CONTROLS.items())
        + ".\n"
    )
    yield from _rows(record)
    head = ["nats on test rows", "base", "own adapter", "same-A adapter", "trained on calibration"]
    kinds = ("base", "main", "same-a", "calibration")
    losses = record["domains"].items()
    yield from table(head, [[name, *(nats(loss[k]) for k in kinds)] for name, loss in losses])


def _rows(record: Mapping[str, Any]) -> Iterator[str]:
    """Say how much of each domain is scored, and how much of its answers is cut away."""
    settings = record["tournament"]
    training = settings["training"]
    steps = math.ceil(settings["rows"][0] / training["batch_size"]) * training["epochs"]
    yield (
        f"An adapter has {steps:.0f} optimiser steps. What is scored is the likelihood of an "
        f"answer up to {settings['max_tokens']} tokens of question and answer together: of a cut "
        "answer its beginning, which of *math* is a worked solution without its end, where the "
        "result stands. Whether an answer is right was not measured."
        f"{EMBEDDED.get(settings['base'], '')}\n"
    )
    head = ["answer tokens", "calibration", "test", "test rows", "of them cut"]
    rows = []
    for name, domain in record["domains"].items():
        seen, test = (domain["rows"][part] for part in ("calibration", "test"))
        cut = f"{100 * test['cut'] / test['rows']:.0f} %"
        rows.append([name, f"{seen['tokens']:,}", f"{test['tokens']:,}", str(test["rows"]), cut])
    yield from table(head, rows)


def group_name(name: str) -> str:
    """Name a group as the page does."""
    return {"same-a": "same A", "calibration": "calibration rows"}.get(name, name)
