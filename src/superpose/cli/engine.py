"""`--for ENGINE`: the rank that an engine serves, and what it has to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import note

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.formats import Written

__all__ = ["For", "fitted", "tell_of_ranks"]

For = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="ENGINE",
        help="peft, vllm or llama.cpp: refuse what it does not read. vllm: with the least rank of "
        "its --max-lora-rank list that is enough, padded with zeros, or compressed to 512 where "
        "more would be needed. llama.cpp: a GGUF LoRA file; OUT ends in .gguf.",
        show_default=False,
    ),
]


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
