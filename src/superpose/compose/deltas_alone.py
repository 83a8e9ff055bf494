"""Which adapters a method on deltas can merge: those that hold deltas and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.adapter import Adapter, in_head
from superpose.adapter.heads import WAYS
from superpose.errors import BadInput, Refused
from superpose.lowrank import Term, Terms
from superpose.lowrank.canonical_split import canonical


def check_deltas_alone(parts: Sequence[Adapter], weights: Sequence[float], method: str) -> None:
    """Raise Refused for the first adapter of a weight other than 0 that stores more than deltas."""
    for part, weight in zip(parts, weights, strict=True):
        if weight == 0.0 or not part.replacements:
            continue
        key, stored = next(iter(part.replacements.items()))
        what = "stores this whole" if stored.absolute else "changes this by DoRA"
        raise Refused(
            f"{part.label} {what}, and `{method}` merges deltas alone",
            where=key,
            hint=_way_out(part),
        )


def split_of(terms: Terms, key: str, label: str) -> Term:
    """Give a delta in its canonical split.

    key: its module. label: of its adapter. Raises Refused for a product that is too large to be
    formed, with what there is to do; BadInput for a delta beyond float64.
    """
    try:
        return canonical(terms)
    except Refused as error:
        raise Refused(
            error.problem,
            where=label,
            hint="Write that adapter at a rank first, and merge what is written: superpose add "
            "ADAPTER --rank 64 -o SMALL.",
        ) from None
    except BadInput as error:
        raise BadInput(f"`{key}`: {error.problem}", where=label) from None


def _way_out(part: Adapter) -> str:
    if any(not stored.absolute for stored in part.replacements.values()):
        return (
            "Write that adapter as deltas first, and merge what is written: superpose add ADAPTER "
            "--base BASE --rank 16 -o PLAIN."
        )
    if set(part.replacements) <= set(in_head(part).stored):
        return WAYS
    return "The methods sum and average take stored tensors as well."
