"""`superpose info`: what is in adapters."""

from __future__ import annotations

from superpose.cli.console import answer
from superpose.cli.options import AdapterNames, Csv, IgnoreKey, Json, Quiet

__all__ = ["info"]


def info(
    adapters: AdapterNames,
    ignore_key: IgnoreKey = None,
    json: Json = False,
    _csv: Csv = False,
    _quiet: Quiet = False,
) -> None:
    """Say what is in adapters: base model, target modules, ranks, scalings, norms, parents.

    Norms are Frobenius norms of the deltas, not of the factors. Several are told one below the
    other; their JSON
    has them as `adapters`.

    \b
    Example:
      superpose info runs/math
      superpose info runs/*
    """
    from superpose.verbs.info import info as info_all

    found = info_all(*adapters, ignore_keys=ignore_key or ())
    answer(found, json)
