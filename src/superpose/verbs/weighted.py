"""Adapters with task weights, as they stand on a command line: a name, a path, or a written sum."""

from __future__ import annotations

import os

from superpose.errors import BadInput, BadSetting, placed
from superpose.names.sums import Weight, is_sum, parse_terms_by_part, parse_weight

__all__ = ["parse_weighted", "parse_weights"]


def parse_weighted(argument: str) -> list[tuple[str, Weight | None]]:
    """Give the adapters of `PATH`, `PATH:WEIGHT` or `A + 0.5*B`, and the task weight of each.

    Or the weights of its parts, as `superpose.names.sums` reads them.

    A path that exists wins over what its name would say as a sum. A lone name without a weight has
    None for it.

    Raises BadInput when what follows the colon of an existing path is no number, or when what can
    only be a sum (`superpose.names.sums`) is none.
    """
    if _stands(argument):
        return [(argument, None)]
    path, colon, tail = argument.rpartition(":")
    if colon and path and _stands(path) and not tail.startswith("//"):
        with placed(argument):
            weight = parse_weight(tail)
        if weight is not None:
            return [(path, weight)]
        if not is_sum(tail):
            raise _no_weight(argument, tail)
    try:
        return parse_terms_by_part(argument)
    except BadInput as error:
        if not is_sum(argument):  # who opens it has more to say
            return [(argument, None)]
        error.problem = f"no such folder or file, and no sum: {error.problem}"
        raise


def _no_weight(argument: str, tail: str) -> BadInput:
    return BadInput(
        f"{f'`{tail}`' if tail else 'nothing'} after the colon is no task weight",
        where=argument,
        hint="A weight is a number such as 0.5 or -1: ADAPTER:0.5. Of an image LoRA's parts: "
        "ADAPTER:te=0.5,unet=1",
    )


def _stands(path: str) -> bool:
    # pathlib raises for a name too long or a folder that is closed to us: `load` will say so.
    return os.path.exists(path)  # noqa: PTH110


def parse_weights(text: str) -> list[float]:
    """Read `1,0.5,-1`; raises BadSetting when a part is no number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadSetting(
            f"`{text}` is no list of task weights, and no file of them",
            where="weights",
            hint="Numbers with commas between them: --weights 1,0.5,-1, or what `superpose tune "
            "--json` wrote.",
        ) from None
