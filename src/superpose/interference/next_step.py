"""What to do about a pair, in one line, with a command to paste where there is one."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.interference.figures import PairFigures

__all__ = ["commands_in", "next_step"]

_COMMAND = re.compile(r"""superpose(?: (?:'[^']*'|"'"|[\w@%+=:,./-])+)+""")
"""What `_command` gives, as `shlex.join` quotes it."""


def commands_in(step: str) -> tuple[str, ...]:
    """Give the commands in a step, to be pasted."""
    return tuple(_COMMAND.findall(step))


def next_step(verdict: str, pair: PairFigures) -> str:
    """Give the line for a verdict.

    A.jsonl and the like, and BASE where the adapters do not tell it, stand for what only the user
    has.
    """
    return _STEPS.get(verdict, _predict)(pair)


def _adds_nothing(pair: PairFigures) -> str:
    silent = [name for name, norm in zip((pair.a, pair.b), pair.norms, strict=True) if norm == 0.0]
    return f"Leave out {' and '.join(silent)}."


def _stored(pair: PairFigures) -> str:
    stored = [name for name, held in zip(pair.typed.names, pair.held, strict=True) if not held]
    return f"See what it stores: {_command('info', stored[0])}"


def _apart(pair: PairFigures) -> str:
    if not pair.base_shown:
        return f"If you know that both have one base model: {_add(pair, 1.0, 1.0)}"
    return f"Add them, then measure the sum: {_add(pair, 1.0, 1.0)}"


def _one_of_two(pair: PairFigures) -> str:
    return f"Keep one, or give weights that sum to 1: {_add(pair, 0.5, 0.5)}"


def _scaled(pair: PairFigures) -> str:
    return f"Keep one and choose its strength: {_add(pair, 1.0, None)}"


def _cancels(pair: PairFigures) -> str:
    return "Keep them apart: what one adds, the other takes away."


def _better(pair: PairFigures) -> str:
    return (
        f"Keep the better one, or give weights that sum to 1: {_add(pair, 0.5, 0.5)}; which is "
        f"better, {_judged(pair)}"
    )


def _judged(pair: PairFigures) -> str:
    """How to tell which one is better."""
    if pair.typed.images:
        return "images of both tell"
    words = (pair.typed.base, *pair.typed.names, "--data", "QUESTIONS.jsonl", *pair.typed.options)
    return f"questions tell: {_command('eval', *words)}"


def _whole(pair: PairFigures) -> str:
    assert pair.contained is not None
    part, times = pair.contained
    whole = (pair.b, pair.a)[part]
    taken = (-times, 1.0) if part == 0 else (1.0, -times)
    return f"Keep {whole}, which has both; what else it holds is: {_add(pair, *taken)}"


def _later(pair: PairFigures) -> str:
    return (
        f"Keep one, the later or the better; what came between is: {_add(pair, -1.0, 1.0)}; which "
        f"is better, {_judged(pair)}"
    )


def _evened(pair: PairFigures) -> str:
    weight = _two_digits(1.0 / pair.norm_ratio)
    weights = (weight, 1.0) if pair.norms[0] > pair.norms[1] else (1.0, weight)
    return f"Give the larger a smaller task weight: {_add(pair, *weights)}"


def _lowered(pair: PairFigures) -> str:
    """The prediction, or else the weights at which the sum has the energy of unrelated adapters."""
    weight = _two_digits(1.0 / math.sqrt(1.0 + max(0.0, pair.energy_shared)))
    return (
        f"{_predict(pair)}; or lower the weights to the energy of two unrelated adapters: "
        f"{_add(pair, weight, weight)}"
    )


def _predict(pair: PairFigures) -> str:
    """What weights cannot tell, a few questions can."""
    if pair.typed.images:
        return f"Look at images of the sum beside those of each: {_add(pair, 1.0, 1.0)}"
    data = ("--data", "A.jsonl", "--data", "B.jsonl")
    return (
        "Predict the sum from a few questions of each: "
        f"{_command('predict', pair.typed.base, *pair.typed.names, *data, *pair.typed.options)}"
    )


_STEPS: dict[str, Callable[[PairFigures], str]] = {
    "no deltas": _stored,
    "adds nothing": _adds_nothing,
    "no shared modules": _apart,
    "the same adapter": _one_of_two,
    "a scaled copy": _scaled,
    "a negated copy": _cancels,
    "nearly the same adapter": _better,
    "one within the other": _whole,
    "cancelling": _cancels,
    "continued training": _later,
    "one drowns the other": _evened,
    "a large common direction": _lowered,
    "a small common direction": _lowered,
}


def _add(pair: PairFigures, *weights: float | None) -> str:
    """`superpose add` with these weights; None leaves an adapter out."""
    words = [
        name if weight == 1.0 else f"{name}:{weight:.4g}"
        for name, weight in zip(pair.typed.names, weights, strict=True)
        if weight is not None
    ]
    options = pair.typed.options if len(words) > 1 else ()
    adding = () if math.fsum(w for w in weights if w is not None) == 1.0 else pair.typed.adding
    return _command("add", *words, "-o", pair.typed.out, *options, *adding)


def _command(*words: str) -> str:
    return shlex.join(("superpose", *words))


def _two_digits(weight: float) -> float:
    return float(f"{weight:.2g}")
