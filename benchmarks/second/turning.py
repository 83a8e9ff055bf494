"""Does the sign of dPPL turn with training? One pair, at two rates for one epoch and three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.second.signs import Sign, signs
from benchmarks.second.ways import BUDGETS, SIGNS, Place, Ways
from superpose.statistics import ratio_interval

__all__ = ["signs_judged"]


def signs_judged(ways: Mapping[Place, Ways]) -> dict[str, Any] | None:
    """Give every training's dPPL against merged data of both budgets; None where none was measured.

    On the union of the pair's test rows, as the paper has it. One seed: intervals are over rows.
    """
    found = [judged for each in signs() if (judged := _judged(each, ways))]
    if not found:
        return None
    left_out = len(signs()) - len(found)
    verdicts = {budget: _verdict([each[budget] for each in found], left_out) for budget in BUDGETS}
    return {"trainings": found, "left_out": left_out, "verdicts": verdicts}


def _judged(sign: Sign, ways: Mapping[Place, Ways]) -> dict[str, Any] | None:
    """Give one training's perplexities on the union, and dPPL; None where it was not measured."""
    rows = {name: ways.get(Place(SIGNS, sign.setting, name)) for name in sign.pair}
    there = {name: found for name, found in rows.items() if found is not None}
    if len(there) < len(sign.pair):
        return None
    tokens = np.concatenate([found.tokens for found in there.values()])
    nll = {
        way: np.concatenate([found.nll[way] for found in there.values()])
        for way in ("base", *BUDGETS, "sum")
    }
    nll["own"] = np.concatenate([found.nll[name] for name, found in there.items()])
    said: dict[str, Any] = {"rate": sign.rate, "epochs": sign.epochs, "pair": list(sign.pair)}
    said["perplexity"] = {
        way: _short(float(np.exp(values.sum() / tokens.sum()))) for way, values in nll.items()
    }
    for budget in (*BUDGETS, "own"):
        ratio = ratio_interval(nll["sum"], nll[budget], tokens, seed=0)
        ends = ratio.interval or ()
        said[budget] = {"percent": _short(ratio.percent), "interval": [_short(e) for e in ends]}
    return said


def _verdict(changes: Sequence[Mapping[str, Any]], left_out: int) -> str:
    """Say `turns`, `stays` or `open`, as registered: by intervals that keep to one side of zero."""
    sides = [np.sign(each["interval"]) for each in changes]
    below, above = (sum(bool((ends == side).all()) for ends in sides) for side in (-1, 1))
    if below and above:
        return "turns"
    return "stays" if max(below, above) == len(changes) and not left_out else "open"


def _short(x: float) -> float:
    return float(f"{x:.5g}")
