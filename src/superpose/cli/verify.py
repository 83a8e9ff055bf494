"""`superpose verify`: is a model base + sum, or a written adapter the sum? Tensor by tensor."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.bake import multiply_in_one_thread
from superpose.cli.base_apart import base_apart, is_adapter
from superpose.cli.beside import Junit, Reports, Sarif
from superpose.cli.options import BaseOrNot, Heads, IgnoreKey, Json, Quiet, SameBase, Weights

__all__ = ["verify"]


def verify(
    base: BaseOrNot,
    adapters: Annotated[
        list[str],
        typer.Argument(
            metavar="ADAPTER[:WEIGHT]... RESULT",
            help="Adapters with their task weights, and last what is to be their sum: a model's "
            "folder, or an adapter.",
            show_default=False,
        ),
    ],
    weights: Weights = None,
    heads: Heads = "sum",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    sarif: Sarif = None,
    junit: Junit = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove that a model is base + sum, or a written adapter the sum, tensor by tensor.

    A model's changed values must be base + sum, rounded once, to half a unit in the last place of
    the dtype they are stored in, and all its other tensors the base's own, bit for bit. An
    adapter's deltas are compared with the sum of the parents', whatever factors they are held in.
    Exit code 0: it is the sum; 1: something differs, and is named; 3: it could not be checked.

    Example: superpose verify org/base runs/math runs/medicine:0.5 both-model
    """
    multiply_in_one_thread()
    from superpose.cli.console import answer, bars
    from superpose.verbs.verify import verify as verify_all

    *parts, result = adapters
    named = base_apart(base, parts) if parts or is_adapter(base) else (base, parts)
    reports = Reports("verify", sarif, junit)
    with reports.telling(), bars(quiet=quiet, percent=True) as progress:
        found = verify_all(
            *named, result, weights,
            heads=heads, same_base=same_base, ignore_keys=ignore_key or (), progress=progress,
        )  # fmt: skip
    if reports:
        reports.write(found.gate())
    if json or found.holds:
        answer(found, json)
    found.insist()
