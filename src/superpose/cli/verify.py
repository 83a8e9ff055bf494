"""`superpose verify`: is a model base + sum, or a written adapter the sum? Tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.bake import multiply_in_one_thread, percent_bar, sum_on_base
from superpose.cli.console import out, print_json
from superpose.cli.options import Base, Heads, IgnoreKey, Json, Quiet, SameBase
from superpose.cli.weights_file import weighted_or_file

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.baking import Proof

__all__ = ["verify"]

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER[:WEIGHT]... RESULT",
        help="Adapters with their task weights, and last what is to be their sum: a model's "
        "folder, or an adapter.",
        show_default=False,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Task weights in the adapters' order, for example 1,0.5,-1, or a file that superpose "
        "tune --json wrote."
    ),
]


def verify(
    base: Base,
    adapters: Names,
    weights: Weights = None,
    heads: Heads = "sum",
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
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
    from superpose.adapter.beside import tell_of_trained
    from superpose.errors import BadInput
    from superpose.files.base import locate_base

    *given, result = adapters
    if not given:
        raise BadInput("give at least one adapter, and the result last", where="superpose verify")
    names, numbers, table = weighted_or_file(given, weights)
    folder = locate_base(base).folder
    total = sum_on_base(folder, names, numbers, same_base, ignore_key or (), table, heads=heads)
    tell_of_trained(total.beside, "which lies in no file that is compared")
    with percent_bar(f"verify {result}", quiet) as step:
        proof = _proof(folder, total, result, step)
    if json:
        print_json({"result": result, "name": total.name, **proof.to_json()})
    proof.insist(result)
    if not json:
        out().print(f"{result} is the sum: {proof}", markup=False, highlight=False, soft_wrap=True)


def _proof(folder: Path, total: Adapter, result: str, step: Callable[[int, int], None]) -> Proof:
    from superpose.baking import prove_model, prove_sum
    from superpose.formats import load

    if is_model(result):
        return prove_model(folder, total, Path(result).expanduser(), progress=step)
    return prove_sum(total, load(result, base=folder, dora=True), folder)


def is_model(result: str) -> bool:
    """Say whether a name means a model's folder and not an adapter."""
    folder = Path(result).expanduser()
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file()
