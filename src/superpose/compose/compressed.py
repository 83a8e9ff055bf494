"""The best approximation of a superposition by one of smaller rank, and what it keeps."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import NamedTuple

from superpose.adapter import Adapter
from superpose.adapter.progress import Progress
from superpose.compose.on_base import rescaled_deltas
from superpose.errors import SuperposeWarning
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank.truncate import Truncated, truncated


class Compressed(NamedTuple):
    """An adapter of lower rank.

    energy_kept: |compressed|^2 / |adapter|^2, between 0 and 1; NaN for a zero one. exact: nothing
    was left out but rounding. energy_kept cannot tell: it rounds to 1 where little is left out.
    """

    adapter: Adapter
    energy_kept: float
    exact: bool


def best_rank(
    adapter: Adapter,
    rank: int,
    base: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Give the best approximation with at most `rank` in each module, with the energy it keeps.

    Truncated SVD, module by module, from the factors alone (Eckart and Young, 1936). A rank that no
    module exceeds is said with a SuperposeWarning, and the adapter stays exact. base: what the
    weights of DoRA are approximated on, which have full rank. progress: called with the modules
    done, how many there are, and the name of the next.

    Raises BadInput when rank is not a whole number of at least 1; as `rescaled_deltas` does.
    """
    smaller, modules = adapter.compress_measured(rank, progress)
    rescaled = [r for r in adapter.replacements.values() if not r.absolute]
    if rank >= adapter.rank and not (rescaled and base):
        warnings.warn(
            f"rank {rank} is no smaller than the sum's own rank {adapter.rank}: it stays exact",
            SuperposeWarning,
            stacklevel=2,
        )
        return Compressed(adapter, 1.0, True)
    measured = dict(zip(adapter, modules, strict=True))
    if rescaled and base is not None:
        smaller = _with_rescaled(smaller, adapter, rank, base, measured)
    # hypot scales before it squares, so that neither tiny nor huge deltas lose their energy.
    kept = math.hypot(*(module.kept for module in measured.values()))
    whole = math.hypot(*(module.whole for module in measured.values()))
    share = min(1.0, kept / whole) ** 2 if whole > 0.0 else math.nan
    return Compressed(smaller, share, all(module.exact for module in measured.values()))


def _with_rescaled(
    smaller: Adapter, adapter: Adapter, rank: int, base: Checkpoint, measured: dict[str, Truncated]
) -> Adapter:
    """Put the best approximation of what DoRA changes in the place of its replacements."""
    deltas = dict(smaller.deltas)
    for key, delta in rescaled_deltas(adapter, base):
        measured[key] = truncated(delta.terms, rank)
        deltas[key] = replace(delta, terms=(measured[key].term,))
    stored = {k: r for k, r in adapter.replacements.items() if r.absolute}
    return replace(smaller, deltas=deltas, replacements=stored)
