"""The command that an advice leads to."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.landscape.predictions import LOOK

if TYPE_CHECKING:
    from superpose.landscape.advice import Advice

__all__ = ["advised_command"]


def advised_command(advice: Advice | None, given: Sequence[str], tuning: str) -> str:
    """Give what writes the sum as it is advised, or looks for weights; empty where neither is.

    given: the words behind `superpose add`. tuning: the command that looks for weights.
    """
    if advice is not None and advice.verdict == LOOK:
        return tuning
    if advice is None or len(given) < 2 or not advice.verdict.startswith("add them"):
        return ""
    words = ["superpose", "add", *given, "-o", "OUT"]
    if advice.verdict != "add them" and advice.weights is not None:
        numbers = ",".join(f"{weight:.4g}" for weight in advice.weights.values())
        words.append(f"--weights={numbers}")
    return shlex.join(words)
