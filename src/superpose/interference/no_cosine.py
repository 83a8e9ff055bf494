"""Why a pair has no cosine: never a small one, and never as unrelated adapters have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.interference.figures import PairFigures

__all__ = ["WITHOUT_COSINE"]


def _nothing(pair: PairFigures) -> str:
    silent = [name for name, norm in zip((pair.a, pair.b), pair.norms, strict=True) if norm == 0.0]
    return (
        f"All deltas of {' and '.join(silent)} are zero (B is zero, as before any training, or the "
        "scaling is, as with lora_alpha 0): there is no cosine."
    )


def _no_deltas(pair: PairFigures) -> str:
    stored = [name for name, held in zip((pair.a, pair.b), pair.held, strict=True) if not held]
    return (
        f"{' and '.join(stored)}: no delta to compare. What is stored in place of the base model's "
        "own tensors is in none of these figures, and there is no cosine."
    )


def _apart(pair: PairFigures) -> str:
    if not pair.base_shown:
        return (
            "They change no target module in common, and nothing shows that they have one base "
            "model: not both name it. There is no cosine, and if it is not one, no sum."
        )
    if not pair.modules:
        return (
            "They change no target module in common, so neither touches what the other changes, "
            "and there is no cosine."
        )
    count = len(pair.modules)
    each = "the one target module" if count == 1 else f"each of the {count} target modules"
    return (
        f"In {each} that both have, the delta of one is zero: neither touches what the other "
        "changes, and there is no cosine."
    )


def _no_number(pair: PairFigures) -> str:
    return (
        f"Their cosine is no number (norms {pair.norms[0]:.3g} and {pair.norms[1]:.3g}): there is "
        "no cosine, and nothing is known of the pair."
    )


WITHOUT_COSINE: dict[str, Callable[[PairFigures], str]] = {
    "no deltas": _no_deltas,
    "adds nothing": _nothing,
    "no shared modules": _apart,
    "no cosine": _no_number,
}
"""By verdict, the sentence that tells why."""
