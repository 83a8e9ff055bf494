"""Adapters with task weights, as they stand on a command line: `PATH` or `PATH:WEIGHT`."""

from __future__ import annotations

import os

from superpose.errors import BadInput, BadSetting

__all__ = ["parse_weighted", "parse_weights"]


def parse_weighted(argument: str) -> tuple[str, float | None]:
    """Split `PATH:WEIGHT`; without a weight it is None.

    A path that exists wins over a weight in its name, and a drive letter's colon is none of ours.

    Raises BadInput when what follows the colon of an existing path is no number.
    """
    path, colon, tail = argument.rpartition(":")
    # What follows the colon of `hf://org/name` or of an address is no weight either.
    if not colon or not path or tail.startswith("//") or _stands(argument):
        return argument, None
    try:
        return path, float(tail)
    except ValueError:
        if _stands(path):
            raise BadInput(
                f"{f'`{tail}`' if tail else 'nothing'} after the colon is no task weight",
                where=argument,
                hint="A weight is a number such as 0.5 or -1: ADAPTER:0.5",
            ) from None
        return argument, None


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
