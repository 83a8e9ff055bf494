"""The rank that an engine serves, and what it has to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from superpose.errors import BadSetting
from superpose.verbs.notes import note
from superpose.verbs.settings import held

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.formats import Written

__all__ = ["check_rank", "fitted", "tell_of_ranks"]


def check_rank(rank: int | None, engine: str | None) -> None:
    """Raise BadSetting for a rank that there is not, or that the engine does not serve."""
    from superpose.formats.vllm import VLLM_RANKS

    if rank is not None:
        held(rank, int, "rank")
    if rank is not None and rank < 1:
        raise BadSetting(f"rank is {rank}; it must be at least 1", where="rank")
    if rank is not None and engine == "vllm" and rank > VLLM_RANKS[-1]:
        raise BadSetting(f"rank is {rank}; vLLM serves at most {VLLM_RANKS[-1]}", where="rank")


def fitted(total: Adapter, engine: str | None) -> Adapter:
    """Give the sum as the engine can serve it: for vLLM compressed where its rank is too large."""
    from superpose.compose import BestRank
    from superpose.formats.vllm import VLLM_RANKS

    most = VLLM_RANKS[-1]
    if engine != "vllm" or total.rank <= most:
        return total
    note("note", f"rank {total.rank} is compressed to {most}, the most that vLLM serves")
    return BestRank(most).of(total)


def tell_of_ranks(total: Adapter, written: Written, engine: str | None) -> None:
    """Say what was padded for vLLM, and what it must be told to serve this rank."""
    from superpose.adapter.image_marks import is_image
    from superpose.formats.vllm import VLLM_DEFAULT_RANK, vllm_max_rank

    if is_image(total):
        return
    rank, least = written.rank, vllm_max_rank(written.rank)
    if engine == "vllm" and rank > total.rank:
        note("note", f"padded with zeros from rank {total.rank} to {rank}")
    if least is None:
        note("warning", f"rank {rank} is more than vLLM serves; --rank 512 or less makes it fit")
    elif rank > VLLM_DEFAULT_RANK:
        note("note", f"rank {rank}: start vLLM with --max-lora-rank {least}")
